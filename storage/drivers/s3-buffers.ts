import { partSize } from './s3-record.ts';

/** What all uploads of a driver hold in memory, at most: 96 MiB. */
const mostBuffers = 12;

/** Buffers that are kept while there are no uploads. */
const mostIdle = 2;

/** How long a buffer that is wanted by others may lie there without growing, in ms. */
const patience = 2000;

/** Who fills a buffer as bytes come. */
export interface Filler {
  /** Others wait: puts the buffer's bytes elsewhere, unless it is busy with them. */
  spill(): Promise<void>;
}

/** The buffers in which parts are gathered. Who finds none waits for one. */
export class PartBuffers {
  readonly #spare: Buffer[] = [];
  readonly #waiting: ((buffer: Buffer) => void)[] = [];
  /** Each with the moment when it last grew, the oldest first. */
  readonly #fillers = new Map<Filler, number>();
  #used = 0;
  #timer: NodeJS.Timeout | undefined;

  /** A buffer of a part's size, which is to be given back. */
  async take(): Promise<Buffer> {
    if (this.#used < mostBuffers) {
      this.#used += 1;
      return this.#spare.pop() ?? Buffer.allocUnsafeSlow(partSize);
    }
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    this.#waiting.push(resolve);
    // Senders that are slow, or silent, would else keep all others waiting.
    this.#timer ??= setInterval(() => this.#hurry(), patience / 4);
    return promise;
  }

  give(buffer: Buffer): void {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next(buffer);
    } else {
      this.#used -= 1;
      this.#spare.push(buffer);
      if (this.#used === 0) this.#spare.length = Math.min(this.#spare.length, mostIdle);
    }
    if (this.#waiting.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Says that a buffer has grown. */
  touch(filler: Filler): void {
    this.leave(filler);
    this.#fillers.set(filler, performance.now());
  }

  /** Says that no buffer is being filled any more. */
  leave(filler: Filler): void {
    this.#fillers.delete(filler);
  }

  #hurry(): void {
    const before = performance.now() - patience;
    let wanted = this.#waiting.length;
    for (const [filler, touched] of this.#fillers) {
      if (touched > before || wanted === 0) return;
      wanted -= 1;
      this.#fillers.delete(filler);
      void filler.spill();
    }
  }
}
