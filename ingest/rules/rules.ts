import type { RateLimit } from './rate.ts';
import { type ReadyRule, readyRule, type Rule } from './rule.ts';

/** By what name records over the rate limit are counted. No rule has it. */
export const rateLimitName = 'rate_limit';

/** Rules that are ready, in order, and how many records each has changed or dropped. All sieves share them. */
export class Rules {
  readonly ready: readonly ReadyRule[];
  /** Of each container; absent: there is none. */
  readonly rateLimit: RateLimit | undefined;
  readonly #counts: Map<string, number>;

  /** @throws {PatternError} */
  constructor(rules: readonly Rule[], rateLimit?: RateLimit) {
    this.ready = rules.map(readyRule);
    this.rateLimit = rateLimit;
    const names = rules.map(({ name }) => name).concat(rateLimit === undefined ? [] : [rateLimitName]);
    this.#counts = new Map(names.map((name) => [name, 0]));
  }

  /** Whether there is nothing to do. */
  get empty(): boolean {
    return this.#counts.size === 0;
  }

  /** Rule → records, since the start. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }
}
