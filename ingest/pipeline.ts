import { setTimeout as sleep } from 'node:timers/promises';
import type { Block } from './block.ts';
import type { SinkTrouble } from './deliverer.ts';
import { warnOfLag } from './lag.ts';
import type { Log } from './log.ts';
import { type ListenAddresses, type ListenOptions, openListeners } from './listeners/open.ts';
import type { ArrivalPage, ArrivalRequest } from './query/arrivals.ts';
import type { Histogram, HistogramRequest } from './query/histogram.ts';
import type { SearchPage, SearchRequest } from './query/search.ts';
import { type Held, type Renderer, Shipper } from './shipper.ts';
import { replay, type Replayed } from './sinks/dead-letter-replay.ts';
import { type DeadLetters, openDeadLetters } from './sinks/dead-letters.ts';
import type { Sink } from './sinks/sink.ts';
import type { Journal } from './spool/journal.ts';
import type { Ledger } from './spool/ledger.ts';
import { openSpool, type Spool, type SpoolTotals, type WhenFull } from './spool/spool.ts';

/** How the pipeline is opened. Sizes in bytes, times in ms. */
export interface PipelineOptions {
  /** The folder that `spool/` and `dead-letters/` lie in. */
  readonly data: string;
  readonly listeners: ListenOptions;
  readonly maxSpoolSize: number;
  readonly whenSpoolFull: WhenFull;
  /** The cluster of a sender, by its address; undefined: no rule names it. */
  readonly clusterOf: (address: string) => string | undefined;
  readonly renderer: Renderer;
  /** It is ended with the pipeline. */
  readonly sink: Sink;
  /** Removes dead letters of all processes on this data folder; else of this one, and of those that are gone. */
  readonly removeLetters?: DeadLetters['remove'];
  /** How long connections may go on, and the sink may take records, when the pipeline ends. */
  readonly shutdownGrace: number;
  readonly log: Log;
}

/** What one process has of the spool. */
export interface SpoolShare {
  /** The ledgers of the directories that it answers for, by their names. */
  readonly directories: Readonly<Record<string, Ledger>>;
  /** Records that it has read, and are in no ledger yet. */
  readonly inFlightRecords: number;
}

/** What became of all that came in, with what is under way. */
export type PipelineTotals = SpoolTotals & { readonly inFlightRecords: number };

/** How the pipeline is. */
export interface PipelineStatus {
  readonly totals: PipelineTotals;
  /** Bytes of the spool's files. */
  readonly spoolSize: number;
  readonly spoolFull: boolean;
  /** How long ago the oldest record came that is not delivered, in ms. */
  readonly lag: number;
  /** Lines that came in pieces and wait for their rest. */
  readonly held: Held;
  readonly deliveries: Shipper['counts'];
  /** Records that the sink may have twice, since the start. */
  readonly possibleDuplicates: number;
  /** Letters since the start, and the bytes that are kept. */
  readonly deadLetters: DeadLetters['counts'] & { readonly bytes: number };
  /** Absent: the sink takes records. */
  readonly trouble?: SinkTrouble;
  /** What the listeners counted: name → count. */
  readonly listeners: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** The documents that the sink rejected for good. */
export interface Rejected extends Pick<DeadLetters, 'read' | 'remove'> {
  /** Hands those with the given ids, or all, to the sink again. @throws {SinkError} when it is away. */
  replay(ids: ReadonlySet<string> | undefined, signal: AbortSignal): Promise<Replayed>;
}

/** The log side as a whole: listeners, spool, shippers and sink. */
export interface Pipeline extends AsyncDisposable {
  /** Where logs are listened for, with the real ports. */
  readonly addresses: ListenAddresses;
  /** Resolves when the block is durable. @throws {SpoolError} it was not taken. */
  accept(block: Block): Promise<void>;
  /** @throws {SinkError} when the sink is away. */
  search(request: SearchRequest, signal: AbortSignal): Promise<SearchPage>;
  /** @throws {SinkError} when the sink is away, or the count takes too long. */
  histogram(request: HistogramRequest, signal: AbortSignal): Promise<Histogram>;
  /** @throws {SinkError} when the sink is away. */
  arrivals(request: ArrivalRequest, signal: AbortSignal): Promise<ArrivalPage>;
  readonly deadLetters: Rejected;
  /** Removes dead letters as far as that is this process's to do; see `DeadLetters.remove`. */
  removeOwnLetters: DeadLetters['remove'];
  status(): PipelineStatus;
  /** Bytes of damaged parts of the spool that are kept, of all processes. */
  quarantineSize(): Promise<number>;
  /** What this process has of the spool. */
  share(): SpoolShare;
  /** The totals over all processes on this data folder, of what each has. */
  totals(shares: readonly SpoolShare[]): PipelineTotals;
  /** Ends the listeners, within the grace. Blocks are still accepted. Disposing does this first. */
  drain(): Promise<void>;
}

const deadLetterBytes = 256 * 1024 * 1024;
const adoptEvery = 10_000;

/**
 * Opens the pipeline. It ends in the order in which a record passes: the listeners first, then the spool, then the
 * shippers, which deliver what they can within the grace; the rest is delivered by the next life.
 */
export async function openPipeline(options: PipelineOptions): Promise<Pipeline> {
  const { data, log, renderer, sink, clusterOf } = options;
  await using stack = new AsyncDisposableStack();
  stack.use(sink);
  const deadLetters = stack.use(
    await openDeadLetters({ directory: `${data}/dead-letters`, maxBytes: deadLetterBytes, log }),
  );
  const spool = stack.use(
    await openSpool({
      directory: `${data}/spool`,
      maxSize: options.maxSpoolSize,
      whenFull: options.whenSpoolFull,
      log,
    }),
  );
  let graceEnds = 0;
  const shipper = new Shipper({ renderer, sink, deadLetters, log });
  const lag = (): number => {
    const waiting = spool.journals.filter((journal) => !shipper.ships(journal)).map(({ oldest }) => oldest);
    const arrivals = [shipper.oldest, ...waiting].filter((oldest) => oldest !== undefined);
    return arrivals.length === 0 ? 0 : Math.max(0, Date.now() - Math.min(...arrivals) / 1000);
  };
  stack.use(warnOfLag(lag, () => shipper.inFlight, log));
  stack.use(ship(spool, shipper, () => Math.max(0, graceEnds - performance.now()), log));

  const listeners = stack.use(await openListeners(options.listeners, { spool, clusterOf, log }));
  let draining: Promise<void> | undefined;
  const drain = (): Promise<void> => {
    draining ??= (async () => {
      graceEnds = performance.now() + options.shutdownGrace;
      await listeners.drain(options.shutdownGrace);
    })();
    return draining;
  };
  stack.defer(drain);

  const removeOwnLetters: DeadLetters['remove'] = (ids) => deadLetters.remove(ids);
  const remove = options.removeLetters ?? removeOwnLetters;
  const share = (): SpoolShare => ({ directories: spool.ledgers, inFlightRecords: shipper.inFlight });
  const totals = (shares: readonly SpoolShare[]): PipelineTotals => {
    const inFlightRecords = shares.reduce((sum, one) => sum + one.inFlightRecords, 0);
    const found = spool.totalsOf(shares.map(({ directories }) => directories));
    return { ...found, readRecords: found.readRecords + inFlightRecords, inFlightRecords };
  };

  const parts = stack.move();
  return {
    addresses: listeners.addresses,
    accept: (block) => spool.append(block),
    search: (request, signal) => sink.search(request, signal),
    histogram: (request, signal) => sink.histogram(request, signal),
    arrivals: (request, signal) => sink.arrivals(request, signal),
    deadLetters: {
      read: () => deadLetters.read(),
      remove,
      replay: (ids, signal) => replay({ read: () => deadLetters.read(), remove }, sink, ids, signal),
    },
    removeOwnLetters,
    quarantineSize: () => spool.quarantineSize(),
    share,
    totals,
    status: () => {
      const { trouble, held, counts } = shipper;
      return {
        totals: totals([share()]),
        spoolSize: spool.size,
        spoolFull: spool.full,
        lag: lag(),
        held,
        deliveries: counts,
        possibleDuplicates: sink.possibleDuplicates,
        deadLetters: { ...deadLetters.counts, bytes: deadLetters.size },
        ...(trouble !== undefined && { trouble }),
        listeners: listeners.counters,
      };
    },
    drain,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Delivers the live directory, and beside it, one after another, those of dead processes. Ends within `grace` ms. */
function ship(spool: Spool, shipper: Shipper, grace: () => number, log: Log): AsyncDisposable {
  const now = new AbortController();
  const ending = new AbortController();

  /** What fails here is no fault of the sink, and not expected. It is told, and tried again. */
  async function untilDone(journal: Journal): Promise<void> {
    while (!now.signal.aborted) {
      try {
        await shipper.ship(journal, now.signal);
        return;
      } catch (error) {
        log.error({ err: error, directory: journal.id }, 'a spool directory cannot be delivered; it is tried again');
        await sleep(5000, undefined, { signal: now.signal }).catch(() => undefined);
      }
    }
  }

  async function orphans(): Promise<void> {
    while (!ending.signal.aborted) {
      try {
        for (const journal of await spool.adopt(ending.signal)) {
          await untilDone(journal);
          if (now.signal.aborted) return;
          await spool.retire(journal);
        }
      } catch (error) {
        log.error({ err: error }, 'the spool of a process that ended cannot be taken over; it is tried again');
      }
      await sleep(adoptEvery, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  }

  const running = Promise.all([untilDone(spool.live), orphans()]);
  return {
    async [Symbol.asyncDispose]() {
      await spool.close();
      ending.abort();
      const timer = setTimeout(() => now.abort(), shipper.trouble === undefined ? grace() : 0);
      await running;
      clearTimeout(timer);
    },
  };
}
