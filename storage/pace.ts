import { setTimeout as sleep } from 'node:timers/promises';

/** Shorter waits are saved up, in ms. */
const shortest = 20;

/** Holds work back to so many bytes a second. Time in which it did nothing is not caught up with. */
export class Pace {
  readonly #rate: number;
  /** When the bytes so far are due: a monotonic time in ms. */
  #due = 0;

  constructor(rate: number) {
    this.#rate = rate;
  }

  /** Waits until this many bytes are due. @throws where the signal is given before */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    this.#due = Math.max(this.#due, now) + (bytes / this.#rate) * 1000;
    if (this.#due - now >= shortest) await sleep(this.#due - now, undefined, { signal });
    signal.throwIfAborted();
  }
}
