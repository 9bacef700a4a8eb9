import type { StoredBlock } from './block.ts';
import { Bulk } from './bulk.ts';
import { Deliverer, type DelivererOptions, type DeliveryCounts, type SinkTrouble } from './deliverer.ts';
import { Deliveries } from './deliveries.ts';
import { markUnfinished } from './marks.ts';
import { type BlockEnd, type Rendered, RenderQueue } from './render-queue.ts';
import type { Unfinished } from './spool/checkpoint.ts';
import type { Journal } from './spool/journal.ts';
import type { Ledger } from './spool/ledger.ts';
import type { Position, ReadItem } from './spool/reader.ts';

/** Lines that wait for their rest. */
export interface Held {
  readonly lines: number;
  /** A piece counts as 4 KiB at least. */
  readonly bytes: number;
}

/** What makes documents of blocks. */
export interface Renderer {
  /** Starts to read a directory, at a place where these lines were not finished, and are delivered. */
  open(unfinished: readonly Unfinished[]): Rendering;
}

/** The blocks of one directory, in order, as they become documents. */
export interface Rendering {
  /** The documents of a block that starts at `at`, some at a time; and those that it shows to be whole. */
  documents(block: StoredBlock, at: Position, signal: AbortSignal): AsyncIterable<Bulk>;
  /** Records that were dropped so far. */
  readonly dropped: number;
  /** What was still to be put together, or told: nothing more comes. */
  end(): Bulk;
  /** What is put together and not whole yet: lines, and bytes of their pieces. */
  readonly held: Held;
  /** From where on blocks must be read again to find what is not whole yet; undefined: everything is. */
  readonly since: Position | undefined;
  /** Lines that are not finished where the reading is. */
  readonly unfinished: readonly Unfinished[];
  /** Whether something waits for more, all of which so far lies before a place. */
  waitsBefore(place: Position): boolean;
}

/** What a shipper works with. */
export interface ShipperOptions extends DelivererOptions {
  readonly renderer: Renderer;
  /** How long, in ms, a line may wait for its rest: up to twice this. */
  readonly patience?: number;
}

/** How often the checkpoint is saved while there is more to deliver, in ms. A death costs as much to be delivered again. */
const saveEvery = 500;
const nothing = Bulk.join([]);

/**
 * Delivers what journals hold, several deliveries at once if the sink bears it, while the next is read and rendered.
 * Where none is under way, what waits goes out at once, so that a record never waits for others.
 */
export class Shipper {
  readonly #options: ShipperOptions;
  readonly #deliverer: Deliverer;
  /** Those of each journal. */
  readonly #deliveries = new Map<Journal, Deliveries>();
  readonly #renderings = new Set<Rendering>();

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#deliverer = new Deliverer(options);
  }

  get trouble(): SinkTrouble | undefined {
    return this.#deliverer.trouble;
  }

  /** Records that were read and are not in the ledger yet. */
  get inFlight(): number {
    return this.#deliveries.values().reduce((sum, { records }) => sum + records, 0);
  }

  /** When the oldest record arrived that was read and is not settled, in µs since 1970; undefined: there is none. */
  get oldest(): number | undefined {
    const oldest = Math.min(...this.#deliveries.values().map((deliveries) => deliveries.oldest));
    return oldest === Infinity ? undefined : oldest;
  }

  /** Whether a journal is being delivered. */
  ships(journal: Journal): boolean {
    return this.#deliveries.has(journal);
  }

  /** Lines that wait for their rest. */
  get held(): Held {
    const held = Array.from(this.#renderings, (rendering) => rendering.held);
    const sum = (key: keyof Held): number => held.reduce((total, one) => total + one[key], 0);
    return { lines: sum('lines'), bytes: sum('bytes') };
  }

  /** How the deliveries go. */
  get counts(): DeliveryCounts & { readonly window: number; readonly underWay: number } {
    const { counts, window } = this.#deliverer;
    return { ...counts, window: window.size, underWay: window.underWay };
  }

  /** Delivers a journal to its end, or until the signal ends it; a checkpoint is saved then. */
  async ship(journal: Journal, signal: AbortSignal): Promise<void> {
    const ended = new AbortController();
    const both = AbortSignal.any([signal, ended.signal]);
    const queue = new RenderQueue();
    const reading = this.#render(journal, queue, both).finally(() => queue.end());
    // Its failure waits until what was read is delivered.
    reading.catch(() => undefined);
    try {
      await this.#deliverAll(journal, queue, both);
    } finally {
      ended.abort();
      queue.end();
      await reading.catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    }
    await journal.save();
  }

  async #render(journal: Journal, queue: RenderQueue, signal: AbortSignal): Promise<void> {
    const rendering = this.#options.renderer.open(journal.unfinished);
    this.#renderings.add(rendering);
    using parts = new DisposableStack();
    parts.defer(() => void this.#renderings.delete(rendering));
    let read: Position | undefined;
    parts.use(markUnfinished(journal, rendering, () => read, this.#options.patience ?? 2000));
    for await (const item of journal.read(signal)) {
      for await (const rendered of this.#renderItem(journal, rendering, item, signal)) {
        await queue.put(rendered);
        if (signal.aborted) return;
      }
      read = item.after;
    }
    if (signal.aborted || read === undefined) return;
    const { since, dropped } = rendering;
    const bulk = rendering.end();
    if (since === undefined && bulk.records === 0) return;
    const end = { after: read, resume: read, unfinished: [] };
    await queue.put({ bulk, counts: droppedSince(dropped, rendering), end });
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
      yield { bulk: nothing, counts: { quarantinedBytes }, end: endAt(after, rendering) };
      return;
    }
    const { dropped } = rendering;
    let bulk = nothing;
    for await (const part of rendering.documents(item.block, item.at, signal)) {
      // As long as more of the block comes.
      if (bulk.records > 0) yield { bulk, counts: {} };
      bulk = part;
    }
    const counts = { readBytes: item.block.payload.length, ...droppedSince(dropped, rendering) };
    yield { bulk, counts, end: endAt(after, rendering) };
  }

  async #deliverAll(journal: Journal, queue: RenderQueue, signal: AbortSignal): Promise<void> {
    await using deliveries = new Deliveries(journal, queue, this.#deliverer, signal);
    this.#deliveries.set(journal, deliveries);
    try {
      let saved = performance.now();
      while (!signal.aborted && !(queue.ended && deliveries.idle)) {
        const change = queue.change();
        deliveries.begin();
        if (deliveries.idle || performance.now() - saved > saveEvery) {
          await this.#trySave(journal, signal);
          saved = performance.now();
        }
        await change;
      }
    } finally {
      this.#deliveries.delete(journal);
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
}

/** The place behind a block that was rendered. */
function endAt(after: Position, { since, unfinished }: Rendering): BlockEnd {
  return { after, resume: since ?? after, unfinished };
}

/** What the ledger is told of records that rules dropped. */
function droppedSince(before: number, { dropped }: Rendering): Pick<Ledger, 'readRecords' | 'droppedRecords'> {
  return { readRecords: dropped - before, droppedRecords: dropped - before };
}
