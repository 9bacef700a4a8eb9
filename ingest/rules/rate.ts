import { BoundedMap } from '../parse/bounded-map.ts';
import type { CommonFacts } from '../record.ts';

/** How many records a container may write in a while. */
export interface RateLimit {
  readonly records: number;
  /** ms */
  readonly per: number;
}

/** What a container wrote in the while in which its last record arrived. */
interface Writer {
  while: number;
  records: number;
}

/** Containers that are told apart at once. */
const mostWriters = 4096;

/** Counts what each container writes, by when it arrived: so it hangs on the spool's bytes, and where reading began. */
export class RateMeter {
  readonly #limit: RateLimit;
  readonly #writers = new BoundedMap<string, Writer>(mostWriters);
  readonly #known = new WeakMap<CommonFacts, Writer>();

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  /** Whether a record that arrived then, in µs since 1970, is within the limit. What is no container's counts by host. */
  allows(facts: CommonFacts, arrivedAt: number): boolean {
    const writer = this.#writerOf(facts);
    const now = Math.floor(arrivedAt / (this.#limit.per * 1000));
    // What comes late counts as if it were not.
    if (now > writer.while) {
      writer.while = now;
      writer.records = 0;
    }
    writer.records += 1;
    return writer.records <= this.#limit.records;
  }

  #writerOf(facts: CommonFacts): Writer {
    const known = this.#known.get(facts);
    if (known !== undefined) return known;
    const { host, container } = facts;
    const key = JSON.stringify([host, container?.id ?? container?.name]);
    const writer = this.#writers.get(key) ?? { while: 0, records: 0 };
    this.#writers.set(key, writer);
    this.#known.set(facts, writer);
    return writer;
  }
}
