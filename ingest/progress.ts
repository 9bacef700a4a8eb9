import type { Rendered } from './render-queue.ts';
import type { Journal } from './spool/journal.ts';
import { addTo, emptyLedger, type Ledger } from './spool/ledger.ts';
import { isBefore, type Position } from './spool/reader.ts';

/** How a record can be settled. */
export type Settled = 'indexedRecords' | 'failureStoreRecords' | 'deadLetteredRecords';

/** One delivery's part in the progress. */
export interface DeliveryProgress {
  /** Counts a record of it. `began`: where the block starts in which it began, if it is another. */
  settle(outcome: Settled, began?: Position): void;
  /** All of it is settled. */
  done(): void;
}

interface Delivery extends Pick<Rendered, 'end'> {
  readonly records: number;
  readonly counts: Ledger;
  done: boolean;
}

/**
 * Notes in a journal how far it is delivered: up to the first delivery that is not done. What lies behind the first
 * piece of a line that is not delivered would be read again, so it is noted only once that is. A line is counted where
 * its first piece lies.
 */
export class Progress {
  readonly #journal: Pick<Journal, 'advance'>;
  /** Those that are not noted, in the order of their blocks. */
  readonly #deliveries: Delivery[] = [];

  constructor(journal: Pick<Journal, 'advance'>) {
    this.#journal = journal;
  }

  /** Deliveries from the first one on that is not done. */
  get behind(): number {
    const first = this.#deliveries.findIndex(({ done }) => !done);
    return first < 0 ? 0 : this.#deliveries.length - first;
  }

  /** Records of those that are not noted. */
  get records(): number {
    return this.#deliveries.reduce((sum, { records }) => sum + records, 0);
  }

  /** The next blocks are being delivered. Deliveries begin in the order of the blocks, and end in any. */
  begin(batch: readonly Rendered[]): DeliveryProgress {
    const end = batch.at(-1)?.end;
    const records = batch.reduce((sum, { bulk }) => sum + bulk.records, 0);
    const delivery: Delivery = { ...(end !== undefined && { end }), records, counts: emptyLedger(), done: false };
    for (const { counts } of batch) addTo(delivery.counts, counts);
    this.#deliveries.push(delivery);
    return {
      settle: (outcome, began) => {
        const first = began && this.#deliveries.find(({ end }) => end !== undefined && isBefore(began, end.after));
        const { counts } = first ?? delivery;
        counts.readRecords += 1;
        counts[outcome] += 1;
      },
      done: () => {
        delivery.done = true;
        this.#note();
      },
    };
  }

  #note(): void {
    const undone = this.#deliveries.findIndex(({ done }) => !done);
    const done = this.#deliveries.slice(0, undone < 0 ? undefined : undone);
    const resume = done.findLast(({ end }) => end !== undefined)?.end?.resume;
    if (resume === undefined) return;
    const whole = done.findLastIndex(({ end }) => end !== undefined && !isBefore(resume, end.after));
    const end = done[whole]?.end;
    if (end === undefined) return;
    const sum = emptyLedger();
    for (const { counts } of this.#deliveries.splice(0, whole + 1)) addTo(sum, counts);
    this.#journal.advance(end.after, end.unfinished, sum);
  }
}
