import type { Log } from '../log.ts';

const levels = [0.95, 0.8, 0.5];
/** A level is told again only after the spool was emptier than that by so much. */
const slack = 0.1;
/** How it grows is seen over so many samples, in which it was measured at least so many ms apart. */
const samples = { most: 60, apart: 1000 } as const;

/** Warns as the spool fills up, with the time that is left. */
export class FillWatch {
  readonly #maxSize: number;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #samples: { readonly at: number; readonly size: number }[] = [];
  #warned = 0;

  /** `maxSize` in bytes; `now` in ms. */
  constructor(maxSize: number, log: Log, now: () => number = () => performance.now()) {
    this.#maxSize = maxSize;
    this.#log = log;
    this.#now = now;
  }

  /** Its size is now so many bytes. */
  note(size: number): void {
    const at = this.#now();
    const last = this.#samples.at(-1);
    if (last === undefined || at >= last.at + samples.apart) this.#samples.push({ at, size });
    if (this.#samples.length > samples.most) this.#samples.shift();
    const share = size / this.#maxSize;
    const level = levels.find((level) => share >= level) ?? 0;
    if (level > this.#warned) {
      const secondsLeft = this.#secondsLeft(at, size);
      this.#log.warn(
        {
          percent: Math.floor(share * 100),
          maxSize: this.#maxSize,
          ...(secondsLeft !== undefined && { secondsLeft }),
        },
        'the spool fills up: the log sink is too slow, or away',
      );
    }
    if (level > this.#warned || share < this.#warned - slack) this.#warned = level;
  }

  /** Until it is full, if it goes on as of late. Undefined: it does not grow, or nobody knows yet. */
  #secondsLeft(at: number, size: number): number | undefined {
    const [first] = this.#samples;
    if (first === undefined || at <= first.at || size <= first.size) return undefined;
    return Math.max(0, Math.round(((this.#maxSize - size) * (at - first.at)) / (size - first.size) / 1000));
  }
}
