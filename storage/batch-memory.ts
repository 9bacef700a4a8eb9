/** Bytes of a batch. */
export const batchSize = 1024 * 1024;

/** Batches of a store that are gathered in memory of their own, at most; the memory is kept once it was wanted. */
const mostBatches = 12;

/** Memory of which one thread can be told to look at it after another. Who finds none left waits for it. */
export class BatchMemory {
  readonly #spare: ArrayBuffer[] = [];
  readonly #waiting: ((memory: ArrayBuffer) => void)[] = [];
  #made = 0;

  /** Puts chunks of up to `batchSize` bytes next to each other; their memory is to be given back. */
  async gather(chunks: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(await this.#take());
    let length = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, length);
      length += chunk.length;
    }
    return bytes.subarray(0, length);
  }

  /** Undefined: it is lost. */
  give(memory: ArrayBuffer | undefined): void {
    const next = this.#waiting.shift();
    const given = memory ?? new ArrayBuffer(batchSize);
    if (next === undefined) this.#spare.push(given);
    else next(given);
  }

  async #take(): Promise<ArrayBuffer> {
    const spare = this.#spare.pop();
    if (spare !== undefined) return spare;
    if (this.#made === mostBatches) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#made += 1;
    return new ArrayBuffer(batchSize);
  }
}
