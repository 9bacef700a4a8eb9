import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Bulk } from '../bulk.ts';
import type { Log } from '../log.ts';
import type { ArrivalPage, ArrivalRequest } from '../query/arrivals.ts';
import { decodeCursor, encodeCursor } from '../query/cursor.ts';
import type { Histogram, HistogramRequest } from '../query/histogram.ts';
import type { SearchPage, SearchRequest } from '../query/search.ts';
import { ownerOnly } from '../spool/file-system.ts';
import type { ReaderAnswer, ReaderRequest } from './embedded-reader.ts';
import { WorkerClient } from './embedded-worker.ts';
import type { SweptFile, WriterRequest } from './embedded-writer.ts';
import { SinkError, type Outcome, type Sink } from './sink.ts';

/** How the embedded store is opened. */
export interface EmbeddedOptions {
  /** `<data>/logs`; made if need be. */
  readonly directory: string;
  /** How long a day's files are kept after the end of its day, in ms. Absent: for ever. */
  readonly retention?: number;
  /** Bytes of all files; beyond it the oldest are deleted. Absent: no bound. */
  readonly maxSize?: number;
  /** Bytes of a file from which on its day goes on in another. An eighth of `maxSize`, 8 MiB at least. */
  readonly pieceSize?: number;
  readonly log: Log;
}

/** The embedded store: the sink, and its housekeeping, which it also does by itself, each minute and as it fills. */
export interface EmbeddedSink extends Sink {
  /** Ends the files that retention or the bound on size no longer allows. `now` in ms since 1970. */
  sweep(now?: number): Promise<readonly SweptFile[]>;
}

const readingThreads = 2;
/** After so many ms a search answers with what it has, and a count fails. */
const readingTime = 10_000;
const sweepEvery = 60_000;
/** The least size of a piece of a day, in bytes. */
const leastPiece = 8 * 1024 * 1024;

/** Opens the store of day files that `embedded-schema.ts` draws: one thread writes, others read. */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedSink> {
  await mkdir(options.directory, { recursive: true, mode: ownerOnly });
  await using parent = await open(dirname(options.directory), 'r');
  await parent.sync();
  return new Embedded(options);
}

class Embedded implements EmbeddedSink {
  readonly name = 'embedded';
  /** One thread writes. */
  readonly mostDeliveries = 1;
  readonly possibleDuplicates = 0;
  readonly #options: EmbeddedOptions;
  readonly #writer = new WorkerClient<WriterRequest, Outcome[] | SweptFile[]>(
    new URL('./embedded-writer.ts', import.meta.url),
  );
  readonly #readers = Array.from(
    { length: readingThreads },
    () => new WorkerClient<ReaderRequest, ReaderAnswer>(new URL('./embedded-reader.ts', import.meta.url)),
  );
  readonly #timer: NodeJS.Timeout;
  readonly #pieceSize: number;
  /** Bytes of JSON that were stored since the last look at what may be deleted. */
  #unswept = 0;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    const { maxSize = Infinity, pieceSize = Math.max(maxSize / 8, leastPiece) } = options;
    this.#pieceSize = pieceSize;
    this.#timer = setInterval(() => this.#sweepSoon(), sweepEvery).unref();
    // What is delivered comes after it; nobody else waits for the thread.
    this.#sweepSoon();
  }

  async deliver({ pieces, size }: Bulk, signal: AbortSignal): Promise<Outcome[]> {
    const { directory } = this.#options;
    // Of its own, since what lies around it in memory would be copied as well.
    const bulk = Uint8Array.from(Buffer.concat(pieces));
    const answer = await this.#writer.ask({ kind: 'deliver', directory, bulk, pieceSize: this.#pieceSize }, signal);
    this.#unswept += size;
    // With its index a document takes up to twice as much.
    if (this.#unswept > this.#pieceSize / 2) this.#sweepSoon();
    return answer.filter((item) => 'status' in item);
  }

  async search(request: SearchRequest, signal: AbortSignal): Promise<SearchPage> {
    const { before, ...rest } = request;
    const found = await this.#read(
      { kind: 'search', ...rest, ...this.#task(), ...(before === undefined ? {} : { before: decodeCursor(before) }) },
      signal,
    );
    if (found.kind !== 'search') throw otherAnswer();
    const { records, next } = found;
    return next === undefined ? { records } : { records, next: encodeCursor(next) };
  }

  async histogram(request: HistogramRequest, signal: AbortSignal): Promise<Histogram> {
    const counted = await this.#read({ kind: 'histogram', ...request, ...this.#task() }, signal);
    if (counted.kind !== 'histogram') throw otherAnswer();
    const { counts, values } = counted;
    return { counts, values };
  }

  async arrivals(request: ArrivalRequest, signal: AbortSignal): Promise<ArrivalPage> {
    const found = await this.#read({ kind: 'arrivals', ...request, ...this.#task() }, signal);
    if (found.kind !== 'arrivals') throw otherAnswer();
    const { records, cut } = found;
    return { records, cut };
  }

  #task(): { directory: string; deadline: number } {
    return { directory: this.#options.directory, deadline: Date.now() + readingTime };
  }

  #read(request: ReaderRequest, signal: AbortSignal): Promise<ReaderAnswer> {
    const [reader] = this.#readers.toSorted((a, b) => a.load - b.load);
    if (reader === undefined) throw new SinkError('unavailable', 'no thread reads');
    return reader.ask(request, signal);
  }

  #sweepSoon(): void {
    this.sweep().catch((error: unknown) => this.#options.log.error({ err: error }, 'old log files were not deleted'));
  }

  async sweep(now: number = Date.now()): Promise<readonly SweptFile[]> {
    const { directory, retention, maxSize, log } = this.#options;
    this.#unswept = 0;
    const answer = await this.#writer.ask({
      kind: 'sweep',
      directory,
      ...(retention === undefined ? {} : { before: now - retention }),
      ...(maxSize === undefined ? {} : { maxSize }),
    });
    const swept = answer.filter((item) => 'file' in item);
    for (const fields of swept) log.info(fields, 'deleted a file of the embedded log store');
    return swept;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    // So that SQLite writes its log back and removes it. Where that fails, the next start does it.
    await this.#writer.ask({ kind: 'close' }).catch(() => undefined);
    await Promise.all([this.#writer, ...this.#readers].map((client) => client[Symbol.asyncDispose]()));
  }
}

function otherAnswer(): SinkError {
  return new SinkError('unavailable', 'a thread of the embedded log store answered something else');
}
