/** An attempt that is under way. */
export interface Attempt {
  /** How often the window had shrunk when it began. */
  readonly shrinks: number;
  /** Whether it took the last place. */
  readonly isLast: boolean;
}

/** A delivery may take so many times as long as the quickest one since the last overload, and the window still grows. */
const tolerance = 2;

/**
 * How many deliveries may be under way at once. Additive increase, multiplicative decrease, as TCP has it (RFC 5681
 * section 3.1): one more for each round in which they took no longer, half as many after an overload.
 */
export class DeliveryWindow {
  readonly #most: number;
  #size = 1;
  #underWay = 0;
  #shrinks = 0;
  #quickest = Infinity;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return Math.floor(this.#size);
  }

  /** Attempts that are under way. */
  get underWay(): number {
    return this.#underWay;
  }

  begin(): Attempt {
    this.#underWay += 1;
    return { shrinks: this.#shrinks, isLast: this.#underWay >= this.size };
  }

  /**
   * An attempt was taken, within so many ms; undefined: it was too small to tell by. Only where the window was used to
   * the full does its answer say that more would do.
   */
  taken({ isLast }: Attempt, ms: number | undefined): void {
    this.#underWay -= 1;
    if (ms === undefined) return;
    this.#quickest = Math.min(this.#quickest, ms);
    if (isLast && ms <= this.#quickest * tolerance) this.#size = Math.min(this.#most, this.#size + 1 / this.size);
  }

  /** An attempt met an overload. Those that were under way together meet the same one. */
  overloaded({ shrinks }: Attempt): void {
    this.#underWay -= 1;
    if (shrinks !== this.#shrinks) return;
    this.#shrinks += 1;
    this.#quickest = Infinity;
    this.#size = Math.max(1, this.#size / 2);
  }
}
