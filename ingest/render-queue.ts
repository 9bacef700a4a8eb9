import type { Bulk } from './bulk.ts';
import type { Unfinished } from './spool/checkpoint.ts';
import type { Ledger } from './spool/ledger.ts';
import type { Position } from './spool/reader.ts';

/** Characters in one delivery, unless it is a single part. */
export const largestDelivery = 8 * 1024 * 1024;

/** What was made of a block, or of a part of one that has many records. */
export interface Rendered {
  readonly bulk: Bulk;
  /** What its settling adds to the ledger, besides the outcomes. */
  readonly counts: Partial<Ledger>;
  /** Where the block ends; absent: more of it comes next. */
  readonly end?: BlockEnd;
}

/** The place behind a block. */
export interface BlockEnd {
  readonly after: Position;
  /** From where on blocks would be read again, if this were the last that is delivered. */
  readonly resume: Position;
  /** Lines that are not finished here. */
  readonly unfinished: readonly Unfinished[];
}

/** What is rendered and waits to be delivered: bounded by characters. */
export class RenderQueue {
  #items: Rendered[] = [];
  #size = 0;
  #ended = false;
  #gate = Promise.withResolvers<void>();

  get empty(): boolean {
    return this.#items.length === 0;
  }

  /** Whether a whole delivery waits. */
  get full(): boolean {
    return this.#size >= largestDelivery;
  }

  /** Whether nothing more comes. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Records that wait. */
  get records(): number {
    return this.#items.reduce((sum, { bulk }) => sum + bulk.records, 0);
  }

  /** When the oldest of what waits arrived, in µs since 1970; `Infinity`: nothing waits. */
  get oldest(): number {
    return this.#items.reduce((least, { bulk }) => Math.min(least, bulk.oldest), Infinity);
  }

  /** Resolves when there is room for more. */
  async put(item: Rendered): Promise<void> {
    this.#items.push(item);
    this.#size += item.bulk.size;
    this.wake();
    while (this.#size > 2 * largestDelivery && !this.#ended) await this.change();
  }

  /** As much as makes one delivery, up to the end of a block if one is in it. */
  take(): Rendered[] {
    let [count, size] = [0, 0];
    for (const { bulk } of this.#items) {
      const before = this.#items[count - 1]?.bulk;
      const isMuch = size + bulk.size > largestDelivery;
      if (before !== undefined && (isMuch || (size > largestDelivery / 2 && !bulk.isBehind(before)))) break;
      size += bulk.size;
      count += 1;
    }
    // Only behind a whole block can it be noted how far the journal is delivered.
    const whole = this.#items.slice(0, count).findLastIndex(({ end }) => end !== undefined) + 1;
    const taken = this.#items.splice(0, whole > 0 ? whole : count);
    for (const item of taken) this.#size -= item.bulk.size;
    this.wake();
    return taken;
  }

  end(): void {
    this.#ended = true;
    this.wake();
  }

  /** Resolves at the next change, or when it is woken. */
  change(): Promise<void> {
    return this.#gate.promise;
  }

  /** Wakes who waits for a change. */
  wake(): void {
    this.#gate.resolve();
    this.#gate = Promise.withResolvers();
  }
}
