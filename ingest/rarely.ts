import type { Log } from './log.ts';

/** How often the like is told, at most, in ms. */
const interval = 5000;

/** Tells what strangers can bring about as often as they like, but tells it now and then only, each kind by itself. */
export class Rarely {
  readonly #log: Log;
  readonly #kinds = new Map<string, { toldAt: number; untold: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** `kind` is one of a few. What was not told in between is counted as `more`. */
  warn(kind: string, fields: object, message: string): void {
    const last = this.#kinds.get(kind);
    const now = performance.now();
    if (last !== undefined && now < last.toldAt + interval) {
      last.untold += 1;
      return;
    }
    this.#kinds.set(kind, { toldAt: now, untold: 0 });
    const more = last?.untold ?? 0;
    this.#log.warn({ ...fields, ...(more > 0 && { more }) }, message);
  }
}
