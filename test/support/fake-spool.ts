import type { Block } from '../../ingest/block.ts';
import { framesOf } from '../../ingest/parse/frames.ts';
import { SpoolError } from '../../ingest/spool/errors.ts';

/** A spool in memory, which can be made full. */
export class FakeSpool {
  readonly blocks: Block[] = [];
  #writable = Promise.withResolvers<void>();
  full = false;
  /** How much of it is taken, as it says. */
  level = 0;
  dropsOldest = false;

  async append(block: Block): Promise<void> {
    await new Promise(setImmediate);
    if (this.full) throw new SpoolError('full', 'full');
    // A socket's memory is the reader's again after the commit.
    this.blocks.push({ ...block, payload: Buffer.from(block.payload) });
  }

  async untilWritable(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.full) return;
    const aborted = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => aborted.reject(signal.reason));
    await Promise.race([this.#writable.promise, aborted.promise]);
  }

  fill(): void {
    this.full = true;
    this.#writable = Promise.withResolvers<void>();
  }

  empty(): void {
    this.full = false;
    this.#writable.resolve();
  }

  /** The contents of all frames, in order. */
  get frames(): string[] {
    return this.blocks.flatMap(contents);
  }
}

/** What the frames of a block hold, one character a byte. */
export function contents(block: Pick<Block, 'kind' | 'flags' | 'payload'>): string[] {
  const stored = {
    ...block,
    source: { listener: 'test', connection: '00'.repeat(16) },
    arrivedAt: 0,
    segment: { id: '00'.repeat(16), base: 0 },
    offset: 0,
  };
  return [...framesOf(stored)].map(({ start, end }) =>
    Buffer.from(block.payload.subarray(start, end)).toString('latin1'),
  );
}
