import type { Client } from '@elastic/elasticsearch';
import type { Bulk } from '../bulk.ts';
import type { Log } from '../log.ts';
import type { ArrivalPage, ArrivalRequest } from '../query/arrivals.ts';
import { compare, decodeCursor, encodeCursor, type Position } from '../query/cursor.ts';
import type { Histogram, HistogramRequest } from '../query/histogram.ts';
import { largestPage, pageLength, type SearchPage, type SearchRequest } from '../query/search.ts';
import { findArrivals } from './elasticsearch-arrivals.ts';
import { BulkWriter } from './elasticsearch-bulk.ts';
import { type ConnectionOptions, makeClient } from './elasticsearch-client.ts';
import { toSinkError } from './elasticsearch-errors.ts';
import { countDocuments } from './elasticsearch-histogram.ts';
import { findHits, type Hit, matching } from './elasticsearch-hits.ts';
import { prepareStream } from './elasticsearch-setup.ts';
import type { Outcome, Sink } from './sink.ts';
import { streamName, type StreamOptions } from './templates.ts';

/** How Elasticsearch is reached, and which data stream is ours. All of it from the configuration only. */
export interface ElasticsearchOptions extends StreamOptions, ConnectionOptions {
  readonly log: Log;
}

/** The most that Elasticsearch returns at once unless told otherwise (index.max_result_window). */
const window = 10_000;

/** The sink that writes to a data stream. It may be away: it is looked for at each delivery and search. */
export function openElasticsearch(options: ElasticsearchOptions): Sink {
  return new Elasticsearch(options);
}

class Elasticsearch implements Sink {
  readonly name = 'elasticsearch';
  readonly mostDeliveries = 8;
  readonly #options: ElasticsearchOptions;
  readonly #stream: string;
  readonly #bulks: BulkWriter;
  #client: Promise<Client> | undefined;
  #prepared: Promise<void> | undefined;

  constructor(options: ElasticsearchOptions) {
    this.#options = options;
    this.#stream = streamName(options);
    this.#bulks = new BulkWriter(this.#stream, options.log);
    this.#prepare().catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      options.log.warn({ reason }, 'Elasticsearch is not ready yet');
    });
  }

  get possibleDuplicates(): number {
    return this.#bulks.possibleDuplicates;
  }

  async deliver(bulk: Bulk, signal: AbortSignal): Promise<Outcome[]> {
    return this.#ask(signal, async (client) => {
      await this.#prepare();
      return this.#bulks.write(client, bulk, signal);
    });
  }

  async search(request: SearchRequest, signal: AbortSignal): Promise<SearchPage> {
    const before = request.before === undefined ? undefined : decodeCursor(request.before);
    return this.#ask(signal, (client) => this.#search(client, request, before, signal));
  }

  async histogram(request: HistogramRequest, signal: AbortSignal): Promise<Histogram> {
    return this.#ask(signal, (client) => countDocuments(client, this.#stream, request, signal));
  }

  async arrivals(request: ArrivalRequest, signal: AbortSignal): Promise<ArrivalPage> {
    return this.#ask(signal, (client) => findArrivals(client, this.#stream, request, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    await client?.close();
  }

  /** Version and templates, once, and again after each failure. */
  #prepare(): Promise<void> {
    const prepare = async (): Promise<void> => prepareStream(await this.#reach(), this.#options, this.#options.log);
    this.#prepared ??= prepare().catch((error: unknown) => {
      this.#prepared = undefined;
      throw toSinkError(error);
    });
    return this.#prepared;
  }

  #reach(): Promise<Client> {
    this.#client ??= makeClient(this.#options).catch((error: unknown) => {
      this.#client = undefined;
      throw error;
    });
    return this.#client;
  }

  async #ask<T>(signal: AbortSignal, work: (client: Client) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    try {
      return await work(await this.#reach());
    } catch (error) {
      signal.throwIfAborted();
      this.#prepared = undefined;
      throw toSinkError(error);
    }
  }

  /**
   * Sorts by time and sequence, which both have doc values anyway. Equal ones (of several spools) are a group that is
   * ordered by id here. A full page may cut its last group, so that one is left for the next page, which starts with it.
   */
  async #search(
    client: Client,
    request: SearchRequest,
    before: Position | undefined,
    signal: AbortSignal,
  ): Promise<SearchPage> {
    // One more than asked for tells whether there is a next page.
    const wanted = request.limit + 1;
    const hits: Hit[] = [];
    let from = before;
    let least = 0;
    let most = window;
    while (pageLength(hits, wanted) === hits.length && hits.length < wanted) {
      const size = Math.min(most, Math.max(wanted - hits.length + spare, least));
      const answer = await this.#page(client, request, from, size, signal);
      if (answer === undefined) {
        most = Math.ceil(size / 4);
        continue;
      }
      const page = answer.toSorted(compare);
      const start = from;
      const fresh = start === undefined ? page : page.filter((hit) => compare(hit, start) > 0);
      const [first, last] = [page[0], page.at(-1)];
      if (page.length < size || first === undefined || last === undefined) {
        hits.push(...fresh);
        break;
      }
      if (!isTie(first, last)) {
        hits.push(...fresh.filter((hit) => !isTie(hit, last)));
        from = { ...last, id: greatestId };
      } else if (size < most) least = most;
      else {
        // A group as large as the window: it cannot be seen whole, so it is taken as it comes.
        hits.push(...fresh);
        from = { ...last, sequence: last.sequence - 1, id: greatestId };
      }
    }
    const found = hits.slice(0, pageLength(hits, request.limit));
    const last = found.at(-1);
    const records = found.map(({ json }) => json);
    return hits.length > found.length && last !== undefined ? { records, next: encodeCursor(last) } : { records };
  }

  /** Hits from a position on, with all that tie with it. Undefined: together they are too large. */
  async #page(
    client: Client,
    request: SearchRequest,
    from: Position | undefined,
    size: number,
    signal: AbortSignal,
  ): Promise<Hit[] | undefined> {
    const { since, until, query } = request;
    const bounds = { ...(since !== undefined && { gte: since }), ...(until !== undefined && { lt: until }) };
    return findHits(
      client,
      {
        stream: this.#stream,
        query: matching(query, '@timestamp', bounds),
        ...(from !== undefined && { after: [from.time, from.sequence + 1] }),
        size,
        largest: largestAnswer,
      },
      signal,
    );
  }
}

/** Above every id, which are ASCII. */
const greatestId = '\uffff';

/** Bytes of one answer to a search; of more, fewer hits are asked for. */
const largestAnswer = 2 * largestPage;

/** Hits beyond those asked for, so that a tie at the end of a page rarely costs another request. */
const spare = 50;

function isTie(a: Position, b: Position): boolean {
  return a.time === b.time && a.sequence === b.sequence;
}
