import { setTimeout as sleep } from 'node:timers/promises';
import type { StoredBlock } from './block.ts';
import type { Log } from './log.ts';
import { markUnfinished } from './marks.ts';
import { Progress } from './progress.ts';
import type { LogDocument } from './record.ts';
import { type BlockEnd, largestDelivery, type Rendered, RenderQueue } from './render-queue.ts';
import type { DeadLetter } from './sinks/dead-letters.ts';
import { type Outcome, type Sink, SinkError } from './sinks/sink.ts';
import type { Unfinished } from './spool/checkpoint.ts';
import type { Journal } from './spool/journal.ts';
import type { Position, ReadItem } from './spool/reader.ts';

/** What makes documents of blocks. */
export interface Renderer {
  /** Starts to read a directory, at a place where these lines were not finished, and are delivered. */
  open(unfinished: readonly Unfinished[]): Rendering;
}

/** The blocks of one directory, in order, as they become documents. */
export interface Rendering {
  /** The documents of a block that starts at `at`, some at a time; and those that it shows to be whole. */
  documents(
    block: StoredBlock,
    at: Position,
    signal: AbortSignal,
  ): AsyncIterable<readonly { readonly document: LogDocument }[]>;
  /** What was still to be put together: nothing more comes. */
  end(): readonly { readonly document: LogDocument }[];
  /** From where on blocks must be read again to find what is not whole yet; undefined: everything is. */
  readonly since: Position | undefined;
  /** Lines that are not finished where the reading is. */
  readonly unfinished: readonly Unfinished[];
  /** Whether something waits for more, all of which so far lies before a place. */
  waitsBefore(place: Position): boolean;
}

/** What a shipper works with. */
export interface ShipperOptions {
  readonly renderer: Renderer;
  readonly sink: Pick<Sink, 'deliver'>;
  readonly deadLetters: { add(letters: readonly DeadLetter[]): Promise<void> };
  readonly log: Log;
  /** First and longest wait before something is tried again, in ms. */
  readonly backoff?: readonly [first: number, longest: number];
  /** How long, in ms, a line may wait for its rest: up to twice this. */
  readonly patience?: number;
}

/** Why nothing is delivered at the moment; undefined: nothing is wrong. */
export interface SinkTrouble {
  readonly code: SinkError['code'];
  readonly reason: string;
  /** ms since 1970 */
  readonly since: number;
}

/** How often the checkpoint is saved while there is more to deliver, in ms. A death costs as much to be delivered again. */
const saveEvery = 500;
const complainEvery = 60_000;

/**
 * Delivers what journals hold. One delivery is under way at a time, while the next is read and rendered; what waits when
 * one ends goes out at once, so that a record never waits for others. Nothing is dropped: what the sink will never take
 * goes to the dead letters first, all else is tried again for ever.
 */
export class Shipper {
  readonly #options: ShipperOptions;
  readonly #backoff: readonly [number, number];
  #trouble: SinkTrouble | undefined;
  #complained = 0;
  #inFlight = 0;

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? [100, 5000];
  }

  get trouble(): SinkTrouble | undefined {
    return this.#trouble;
  }

  /** Records that were read and are not settled. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Delivers a journal to its end, or until the signal ends it; a checkpoint is saved then. */
  async ship(journal: Journal, signal: AbortSignal): Promise<void> {
    const ended = new AbortController();
    const both = AbortSignal.any([signal, ended.signal]);
    const queue = new RenderQueue();
    const reading = this.#render(journal, queue, both).finally(() => queue.end());
    try {
      await this.#deliverAll(journal, queue, both);
    } finally {
      ended.abort();
      queue.end();
      await reading.catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
      this.#inFlight -= queue.records;
    }
    await journal.save();
  }

  async #render(journal: Journal, queue: RenderQueue, signal: AbortSignal): Promise<void> {
    const rendering = this.#options.renderer.open(journal.unfinished);
    const put = async (rendered: Rendered): Promise<void> => {
      this.#inFlight += rendered.documents.length;
      await queue.put(rendered);
    };
    let read: Position | undefined;
    using _marks = markUnfinished(journal, rendering, () => read, this.#options.patience ?? 2000);
    for await (const item of journal.read(signal)) {
      for await (const rendered of this.#renderItem(journal, rendering, item, signal)) {
        await put(rendered);
        if (signal.aborted) return;
      }
      read = item.after;
    }
    if (signal.aborted || read === undefined || rendering.since === undefined) return;
    await put({ ...rendered(rendering.end()), end: { after: read, resume: read, unfinished: [] } });
  }

  async *#renderItem(
    journal: Journal,
    rendering: Rendering,
    item: ReadItem,
    signal: AbortSignal,
  ): AsyncGenerator<Rendered, void, undefined> {
    const { after } = item;
    if (item.kind === 'damage') {
      const quarantinedBytes = await journal.quarantine(item);
      yield { documents: [], size: 0, counts: { quarantinedBytes }, end: endAt(after, rendering) };
      return;
    }
    let last = rendered([]);
    for await (const part of rendering.documents(item.block, item.at, signal)) {
      if (last.documents.length > 0) yield last;
      last = rendered(part);
    }
    yield { ...last, counts: { readBytes: item.block.payload.length }, end: endAt(after, rendering) };
  }

  async #deliverAll(journal: Journal, queue: RenderQueue, signal: AbortSignal): Promise<void> {
    let saved = performance.now();
    const progress = new Progress(journal);
    for (;;) {
      if (queue.empty) await this.#trySave(journal, signal);
      const batch = await queue.take();
      if (batch === undefined || signal.aborted) return;
      const documents = batch.flatMap(({ documents }) => documents);
      for (const { counts } of batch) progress.count(counts);
      for (const part of slices(documents)) await this.#deliver(part, progress, signal);
      if (signal.aborted) return;
      const end = batch.at(-1)?.end;
      if (end !== undefined) progress.reach(end);
      this.#inFlight -= documents.length;
      if (performance.now() - saved > saveEvery) {
        await this.#trySave(journal, signal);
        saved = performance.now();
      }
    }
  }

  /** A disk that fails at this moment ends nothing: what is not noted would only be delivered again. */
  async #trySave(journal: Journal, signal: AbortSignal): Promise<void> {
    try {
      await journal.save();
    } catch (error) {
      if (!signal.aborted) this.#options.log.error({ err: error, directory: journal.id }, 'a checkpoint was not saved');
    }
  }

  /** Sees to it that each document is settled, unless it is aborted. */
  async #deliver(documents: readonly LogDocument[], progress: Progress, signal: AbortSignal): Promise<void> {
    let left = documents;
    for (let attempt = 0; left.length > 0 && !signal.aborted; attempt += 1) {
      if (attempt > 0) await this.#wait(attempt, signal);
      const outcomes = await this.#attempt(left, signal);
      if (outcomes === undefined) continue;
      const retry: LogDocument[] = [];
      const rejected: LogDocument[] = [];
      const letters: DeadLetter[] = [];
      let reason = '';
      for (const [index, document] of left.entries()) {
        const outcome = outcomes[index] ?? { status: 'retry', reason: 'the sink said nothing of it' };
        switch (outcome.status) {
          case 'indexed':
          case 'duplicate':
            progress.settle(document, 'indexedRecords');
            break;
          case 'failure_store':
            progress.settle(document, 'failureStoreRecords');
            break;
          case 'rejected':
            rejected.push(document);
            letters.push({ id: document.record.id, reason: outcome.reason, document: document.json });
            break;
          case 'retry':
            retry.push(document);
            ({ reason } = outcome);
            break;
        }
      }
      await this.#bury(letters, signal);
      for (const document of rejected) progress.settle(document, 'deadLetteredRecords');
      if (retry.length === left.length) this.#complain('unavailable', reason);
      else {
        this.#recovered();
        // Only progress starts the waits anew.
        attempt = 0;
      }
      left = retry;
    }
  }

  async #attempt(documents: readonly LogDocument[], signal: AbortSignal): Promise<readonly Outcome[] | undefined> {
    try {
      return await this.#options.sink.deliver(documents, signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      const code = error instanceof SinkError ? error.code : 'unavailable';
      this.#complain(code, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  async #bury(letters: readonly DeadLetter[], signal: AbortSignal): Promise<void> {
    if (letters.length === 0) return;
    const [{ reason } = { reason: '' }] = letters;
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

  #complain(code: SinkError['code'], reason: string): void {
    const now = Date.now();
    const changed = this.#trouble?.reason !== reason;
    this.#trouble = { code, reason, since: this.#trouble?.since ?? now };
    if (!changed && now - this.#complained < complainEvery) return;
    this.#complained = now;
    const { log } = this.#options;
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

/** The place behind a block that was rendered. */
function endAt(after: Position, { since, unfinished }: Rendering): BlockEnd {
  return { after, resume: since ?? after, unfinished };
}

/** A part of a block, as long as more of it comes. */
function rendered(part: readonly { readonly document: LogDocument }[]): Rendered {
  const documents = part.map(({ document }) => document);
  const size = documents.reduce((sum, { json }) => sum + json.length, 0);
  return { documents, size, counts: {} };
}

/** Runs of documents that are not too much for one delivery. */
function* slices(documents: readonly LogDocument[]): Generator<readonly LogDocument[]> {
  let start = 0;
  let size = 0;
  for (const [index, { json }] of documents.entries()) {
    if (index > start && size + json.length > largestDelivery) {
      yield documents.slice(start, index);
      start = index;
      size = 0;
    }
    size += json.length;
  }
  if (start < documents.length) yield documents.slice(start);
}
