/**
 * What a block that is not committed, or a datagram, costs in memory besides its bytes: buffer, block, promises and its
 * place in the queue. In bytes, as measured with Node 24; else a sender of tiny ones could fill far more memory than a
 * bound says.
 */
export const overhead = 1024;

/** Bytes that many connections hold at once. Once they are over the limit, who reads waits. */
export class Budget {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #used = 0;
  #waking = false;

  /** `limit` in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether nothing more should be read. What is read by then may go beyond it. */
  get exceeded(): boolean {
    return this.#used > this.#limit;
  }

  take(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    if (this.#waking) return;
    this.#waking = true;
    setImmediate(() => this.#wake());
  }

  /** Calls `resume` once, when the budget is no longer exceeded. */
  wait(resume: () => void): void {
    this.#waiting.add(resume);
  }

  /** One in a turn of the event loop, so that what it reads is counted before the next may read. */
  #wake(): void {
    const [resume] = this.#waiting;
    if (resume === undefined || this.exceeded) {
      this.#waking = false;
      return;
    }
    this.#waiting.delete(resume);
    resume();
    setImmediate(() => this.#wake());
  }
}
