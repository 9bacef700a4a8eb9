import type { LogDocument } from './record.ts';
import type { BlockEnd } from './render-queue.ts';
import type { Journal } from './spool/journal.ts';
import { addTo, emptyLedger, type Ledger } from './spool/ledger.ts';
import { isBefore } from './spool/reader.ts';

/** How a record can be settled. */
export type Settled = 'indexedRecords' | 'failureStoreRecords' | 'deadLetteredRecords';

/**
 * Notes in a journal how far it is delivered. What lies behind the first piece of a line that is not delivered would be
 * read again, so it is noted only once that is. A line is counted where its first piece lies.
 */
export class Progress {
  readonly #journal: Pick<Journal, 'advance'>;
  /** Delivered, and not noted yet; each ends between two blocks. */
  #waiting: { readonly end: BlockEnd; readonly counts: Ledger }[] = [];
  /** Of what comes after them. */
  #counts = emptyLedger();

  constructor(journal: Pick<Journal, 'advance'>) {
    this.#journal = journal;
  }

  /** Counts something of the blocks that are being delivered. */
  count(counts: Readonly<Partial<Ledger>>): void {
    addTo(this.#counts, counts);
  }

  /** Counts a record of theirs. */
  settle({ began }: LogDocument, outcome: Settled): void {
    const earlier = began && this.#waiting.find(({ end }) => isBefore(began, end.after));
    addTo(earlier?.counts ?? this.#counts, { readRecords: 1, [outcome]: 1 });
  }

  /** All is delivered up to here, as far as it was whole. */
  reach(end: BlockEnd): void {
    this.#waiting.push({ end, counts: this.#counts });
    this.#counts = emptyLedger();
    const whole = this.#waiting.findLastIndex((one) => !isBefore(end.resume, one.end.after)) + 1;
    for (const { end, counts } of this.#waiting.splice(0, whole)) {
      this.#journal.advance(end.after, end.unfinished, counts);
    }
  }
}
