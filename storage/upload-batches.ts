import { type SharedPieces, sharedPieceSize } from './shared-pieces.ts';

/** Bytes that all uploads of a store gather or write, at most; beyond it each writes what it gets. */
const mostGathered = 128 * 1024 * 1024;

/** Batches of one upload that are written or hashed while the next one is gathered. */
const mostBatches = 3;

/** How long bytes are gathered, in ms: an upload that goes on, however slowly, is never taken for an idle one. */
const longestGathered = 30_000;

/** Bytes of a body that are written together. */
export interface Batch {
  readonly chunks: readonly Uint8Array[];
  /** In bytes. */
  readonly size: number;
  /** Whether it is as large as batches are, and more follows: its bytes lie in shared memory. */
  readonly isFull: boolean;
}

/** What the uploads of a store share. */
export interface BatchMemory {
  /** Bytes that they gather or write. */
  readonly gathered: { bytes: number };
  readonly pieces: SharedPieces;
}

/**
 * Gathers a body in large batches, and has each one written once the one before is. What a batch is still `hashed` for by
 * then goes on beside the next ones, until which its memory is kept. Where the body breaks off, what came before is written.
 * @throws what reading or writing threw; nothing is written after that
 */
export async function writeInBatches(
  body: AsyncIterable<Uint8Array>,
  { gathered, pieces }: BatchMemory,
  write: (batch: Batch) => Promise<{ readonly hashed: void | Promise<void> }>,
): Promise<void> {
  let chunks: Uint8Array[] = [];
  let size = 0;
  let flushedAt = performance.now();
  let written: Promise<unknown> = Promise.resolve();
  const batches: Promise<void>[] = [];
  const flush = async (isFull: boolean): Promise<void> => {
    const piece = isFull ? await pieces.gather(chunks) : undefined;
    const batch: Batch = { chunks: piece === undefined ? chunks : [piece.bytes], size, isFull };
    chunks = [];
    size = 0;
    const writing = written.then(() => write(batch));
    const done = writing
      .then(({ hashed }) => hashed)
      .finally(() => {
        gathered.bytes -= batch.size;
        piece?.[Symbol.dispose]();
      });
    done.catch(() => undefined);
    written = writing;
    batches.push(done);
    while (batches.length > (gathered.bytes > mostGathered ? 1 : mostBatches)) await batches.shift();
    flushedAt = performance.now();
  };
  const isDue = (): boolean =>
    size > sharedPieceSize || gathered.bytes > mostGathered || performance.now() - flushedAt >= longestGathered;
  try {
    for await (const chunk of body) {
      if (size > 0 && size + chunk.length > sharedPieceSize) await flush(true);
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
