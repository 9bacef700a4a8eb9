import type { HashedMemory } from './hash.ts';
import { type BatchMemory, batchSize } from './batch-memory.ts';

/** Bytes that all uploads of a store gather or write, at most; beyond it each writes what it gets. */
const mostGathered = 128 * 1024 * 1024;

/** Batches of one upload that are written or hashed while the next one is gathered. */
const mostBatches = 3;

/** How long bytes are gathered, in ms: an upload that goes on, however slowly, is never taken for an idle one. */
const longestGathered = 30_000;

/** The bytes of an upload. */
export interface UploadBody extends AsyncIterable<Uint8Array> {
  /** How many they are, where that is known ahead. */
  readonly length?: number;
  /** Takes back a piece that nobody looks at any more. */
  release?(piece: Uint8Array): void;
}

/** Bytes of a body that are written together. */
export interface Batch {
  readonly chunks: readonly Uint8Array[];
  /** In bytes. */
  readonly size: number;
  /** Where it lies, as large as batches are, if more follows. */
  readonly memory?: ArrayBuffer;
}

/** What the uploads of a store share. */
export interface BatchMeans {
  /** Bytes that they gather or write. */
  readonly gathered: { bytes: number };
  readonly memory: BatchMemory;
}

/**
 * Gathers a body in large batches, and has each one written once the one before is. That a batch is also hashed goes on
 * beside the next ones; it says what is left of the batch's memory. Where the body breaks off, what came before is written.
 * @throws what reading or writing threw; nothing is written after that
 */
export async function writeInBatches(
  body: UploadBody,
  { gathered, memory: spare }: BatchMeans,
  write: (batch: Batch) => Promise<{ readonly hashed: HashedMemory | Promise<HashedMemory> }>,
): Promise<void> {
  let chunks: Uint8Array[] = [];
  let size = 0;
  let flushedAt = performance.now();
  let written: Promise<unknown> = Promise.resolve();
  const batches: Promise<void>[] = [];
  const finish = async (batch: Batch, writing: ReturnType<typeof write>): Promise<void> => {
    let { memory } = batch;
    try {
      memory = await (await writing).hashed;
      if (batch.memory === undefined) for (const chunk of batch.chunks) body.release?.(chunk);
    } finally {
      gathered.bytes -= batch.size;
      if (batch.memory !== undefined) spare.give(memory);
    }
  };
  const gather = async (): Promise<Batch> => {
    const bytes = await spare.gather(chunks);
    for (const chunk of chunks) body.release?.(chunk);
    return { chunks: [bytes], size, memory: bytes.buffer };
  };
  const flush = async (isFull: boolean): Promise<void> => {
    const batch = isFull ? await gather() : { chunks, size };
    chunks = [];
    size = 0;
    const writing = written.then(() => write(batch));
    const finished = finish(batch, writing);
    finished.catch(() => undefined);
    written = writing;
    batches.push(finished);
    while (batches.length > (gathered.bytes > mostGathered ? 1 : mostBatches)) await batches.shift();
    flushedAt = performance.now();
  };
  const isDue = (): boolean =>
    size > batchSize || gathered.bytes > mostGathered || performance.now() - flushedAt >= longestGathered;
  try {
    for await (const chunk of body) {
      if (size > 0 && size + chunk.length > batchSize) await flush(true);
      chunks.push(chunk);
      size += chunk.length;
      gathered.bytes += chunk.length;
      if (isDue()) await flush(false);
    }
  } finally {
    if (size > 0) await flush(false);
    await Promise.all(batches);
  }
}
