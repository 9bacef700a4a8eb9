/** Whatever holds an unfinished frame. */
export interface Holder {
  /** Bytes of memory of it. */
  readonly held: number;
  /** It takes nothing more, and frees its memory as soon as what it brought is kept: cutting it is of no use. */
  readonly ending: boolean;
  /** Cuts it, to free its memory. */
  cut(): void;
}

/** The memory of all unfinished frames: beyond its bound the largest is cut. */
export class Rests {
  readonly #limit: number;
  readonly #holders = new Set<Holder>();
  #held = 0;

  /** `limit` in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  add(holder: Holder): void {
    this.#holders.add(holder);
  }

  remove(holder: Holder): void {
    this.#holders.delete(holder);
  }

  /** What one holds has changed by so many bytes. */
  changed(change: number): void {
    this.#held += change;
    // What a cut frees is told here too.
    if (change <= 0) return;
    while (this.#held > this.#limit) {
      const before = this.#held;
      const [first, ...others] = [...this.#holders].filter(({ ending }) => !ending);
      if (first === undefined) return;
      others.reduce((largest, other) => (other.held > largest.held ? other : largest), first).cut();
      if (this.#held >= before) return;
    }
  }
}
