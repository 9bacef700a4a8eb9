import { setTimeout as sleep } from 'node:timers/promises';
import { DeliveryWindow } from './delivery-window.ts';
import { Bulk } from './bulk.ts';
import type { Log } from './log.ts';
import type { DeliveryProgress, Settled } from './progress.ts';
import { largestDelivery } from './render-queue.ts';
import type { DeadLetter } from './sinks/dead-letter-lines.ts';
import { type Outcome, type Sink, SinkError } from './sinks/sink.ts';

/** What a deliverer works with. */
export interface DelivererOptions {
  readonly sink: Pick<Sink, 'deliver' | 'mostDeliveries'>;
  readonly deadLetters: { add(letters: readonly DeadLetter[]): Promise<void> };
  readonly log: Log;
  /** First and longest wait before something is tried again, in ms. */
  readonly backoff?: readonly [first: number, longest: number];
}

/** Why nothing is delivered at the moment; undefined: nothing is wrong. */
export interface SinkTrouble {
  readonly code: SinkError['code'];
  readonly reason: string;
  /** ms since 1970 */
  readonly since: number;
}

/** Since the start. */
export interface DeliveryCounts {
  /** Attempts that the sink took, in whole or in part. */
  taken: number;
  /** Attempts of which it took nothing. */
  failed: number;
  /** Records that were sent once more, each time counted. */
  retriedRecords: number;
}

const complainEvery = 60_000;
const nothing = Bulk.join([]);

/**
 * Hands documents to the sink until each is settled. Nothing is dropped: what the sink will never take goes to the dead
 * letters first, all else is tried again for ever.
 */
export class Deliverer {
  /** How many deliveries may be under way at once. */
  readonly window: DeliveryWindow;
  readonly counts: DeliveryCounts = { taken: 0, failed: 0, retriedRecords: 0 };
  readonly #options: DelivererOptions;
  readonly #backoff: readonly [number, number];
  #trouble: SinkTrouble | undefined;
  #complained = -Infinity;

  constructor(options: DelivererOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? [100, 5000];
    this.window = new DeliveryWindow(options.sink.mostDeliveries);
  }

  get trouble(): SinkTrouble | undefined {
    return this.#trouble;
  }

  /** Sees to it that each document is settled, and frees the bulk; unless it is aborted. */
  async deliver(bulk: Bulk, progress: Pick<DeliveryProgress, 'settle'>, signal: AbortSignal): Promise<void> {
    let left = bulk;
    let { taken } = this.counts;
    for (let attempt = 0; left.records > 0 && !signal.aborted; attempt += 1) {
      if (attempt > 0) {
        await this.#wait(attempt, signal);
        if (signal.aborted) return;
        this.counts.retriedRecords += left.records;
      }
      const outcomes = await this.#attempt(left, signal);
      if (signal.aborted) return;
      if (outcomes instanceof SinkError) {
        // Who knows what of it is still being sent.
        bulk.keep();
        this.counts.failed += 1;
        this.#complain(outcomes, this.counts.taken > taken);
        ({ taken } = this.counts);
        continue;
      }
      const retry: number[] = [];
      const rejected = new Map<number, string>();
      let reason = '';
      const settle = (index: number, outcome: Settled): void => progress.settle(outcome, left.began.get(index));
      for (let index = 0; index < left.records; index += 1) {
        const outcome = outcomes[index] ?? { status: 'retry', reason: 'the sink said nothing of it' };
        switch (outcome.status) {
          case 'indexed':
          case 'duplicate':
            settle(index, 'indexedRecords');
            break;
          case 'failure_store':
            settle(index, 'failureStoreRecords');
            break;
          case 'rejected':
            rejected.set(index, outcome.reason);
            break;
          case 'retry':
            retry.push(index);
            ({ reason } = outcome);
            break;
        }
      }
      await this.#bury(left, rejected, signal);
      if (signal.aborted) return;
      for (const index of rejected.keys()) settle(index, 'deadLetteredRecords');
      if (retry.length === left.records) {
        this.counts.failed += 1;
        this.#complain({ code: 'unavailable', message: reason }, this.counts.taken > taken);
      } else {
        this.counts.taken += 1;
        this.#recovered();
        // Only progress starts the waits anew.
        attempt = 0;
      }
      ({ taken } = this.counts);
      left = retry.length === 0 ? nothing : left.pick(retry);
    }
    if (!signal.aborted) bulk.free();
  }

  async #attempt(bulk: Bulk, signal: AbortSignal): Promise<readonly Outcome[] | SinkError> {
    const attempt = this.window.begin();
    const began = performance.now();
    try {
      const outcomes = await this.#options.sink.deliver(bulk, signal);
      if (outcomes.some((outcome) => outcome.status === 'retry' && outcome.overloaded === true)) {
        this.window.overloaded(attempt);
      } else {
        this.window.taken(attempt, bulk.size * 2 > largestDelivery ? performance.now() - began : undefined);
      }
      return outcomes;
    } catch (error) {
      this.window.overloaded(attempt);
      if (error instanceof SinkError) return error;
      return new SinkError('unavailable', error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  /** `rejected`: reasons by index. */
  async #bury(bulk: Bulk, rejected: ReadonlyMap<number, string>, signal: AbortSignal): Promise<void> {
    if (rejected.size === 0) return;
    const reasons = [...rejected.values()];
    const documents = [...bulk.pick([...rejected.keys()])];
    const letters = documents.map(({ id, json }, index) => ({ id, reason: reasons[index] ?? '', document: json }));
    const [reason] = reasons;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      try {
        await this.#options.deadLetters.add(letters);
        this.#options.log.warn(
          { records: letters.length, reason },
          'the log sink rejected records; they are in the dead letters',
        );
        return;
      } catch (error) {
        this.#options.log.error(
          { err: error, records: letters.length },
          'dead letters cannot be written; they are tried again',
        );
        await this.#wait(attempt, signal);
      }
    }
  }

  #recovered(): void {
    if (this.#trouble === undefined) return;
    this.#options.log.info({ since: this.#trouble.since }, 'the log sink takes records again');
    this.#trouble = undefined;
  }

  /** `othersGo`: records of other deliveries were taken since the last attempt, so the sink as a whole is well. */
  #complain({ code, message: reason }: Pick<SinkError, 'code' | 'message'>, othersGo: boolean): void {
    const now = Date.now();
    const changed = !othersGo && this.#trouble?.reason !== reason;
    if (!othersGo) this.#trouble = { code, reason, since: this.#trouble?.since ?? now };
    if (!changed && now - this.#complained < complainEvery) return;
    this.#complained = now;
    const { log } = this.#options;
    if (this.#trouble === undefined) {
      log.warn({ reason }, 'the log sink does not take some of the records at the moment; they wait in the spool');
      return;
    }
    const fields = { reason, since: this.#trouble.since };
    if (code === 'refused')
      log.error(fields, 'the log sink refuses all records until someone mends it; they wait in the spool');
    else log.warn(fields, 'the log sink takes no records at the moment; they wait in the spool');
  }

  /** Waits longer with each attempt, by chance up to half as long again, so that instances do not come all at once. */
  async #wait(attempt: number, signal: AbortSignal): Promise<void> {
    const [first, longest] = this.#backoff;
    const ms = Math.min(longest, first * 2 ** Math.min(attempt - 1, 16));
    await sleep(ms * (1 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
  }
}
