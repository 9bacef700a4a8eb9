import { Client, errors, type estypes } from '@elastic/elasticsearch';
import type { Log } from '../log.ts';
import type { ArrivalPage, ArrivalRequest } from '../query/arrivals.ts';
import { compare, decodeCursor, encodeCursor, type Position } from '../query/cursor.ts';
import type { Histogram, HistogramRequest } from '../query/histogram.ts';
import { largestPage, pageLength, type SearchPage, type SearchRequest } from '../query/search.ts';
import { toElasticsearch } from '../query/to-elasticsearch.ts';
import type { LogDocument } from '../record.ts';
import { findArrivals } from './elasticsearch-arrivals.ts';
import { isTooLarge, outcomeOf, toSinkError, type BulkItem } from './elasticsearch-errors.ts';
import { countDocuments } from './elasticsearch-histogram.ts';
import { prepareStream } from './elasticsearch-setup.ts';
import { SinkError, type Outcome, type Sink } from './sink.ts';
import { streamName, type StreamOptions } from './templates.ts';

/** How Elasticsearch is reached, and which data stream is ours. All of it from the configuration only. */
export interface ElasticsearchOptions extends StreamOptions {
  readonly nodes: readonly string[];
  /** Who we are; absent where security is off. */
  readonly auth?: { readonly apiKey: string } | { readonly username: string; readonly password: string };
  /** Certificate authorities to trust instead of the system's, as PEM. */
  readonly ca?: string;
  readonly log: Log;
}

/** After so many ms without an answer a request counts as lost; a bulk is sent again, and 409 tells what was stored. */
const requestTimeout = 60_000;
/** The most that Elasticsearch returns at once unless told otherwise (index.max_result_window). */
const window = 10_000;

/** The sink that writes to a data stream. It may be away: it is looked for at each delivery and search. */
export function openElasticsearch(options: ElasticsearchOptions): Sink {
  return new Elasticsearch(options);
}

class Elasticsearch implements Sink {
  readonly name = 'elasticsearch';
  readonly mostDeliveries = 8;
  readonly #client: Client;
  readonly #options: ElasticsearchOptions;
  readonly #stream: string;
  #prepared: Promise<void> | undefined;

  constructor(options: ElasticsearchOptions) {
    const { nodes, auth, ca } = options;
    this.#options = options;
    this.#stream = streamName(options);
    this.#client = new Client({
      nodes: [...nodes],
      ...(auth === undefined ? {} : { auth }),
      ...(ca === undefined ? {} : { tls: { ca } }),
      // The shipper tries again, by outcome.
      maxRetries: 0,
      requestTimeout,
    });
    this.#prepare().catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      options.log.warn({ reason }, 'Elasticsearch is not ready yet');
    });
  }

  async deliver(documents: readonly LogDocument[], signal: AbortSignal): Promise<Outcome[]> {
    return this.#ask(signal, async () => {
      await this.#prepare();
      return this.#bulk(documents, signal);
    });
  }

  async search(request: SearchRequest, signal: AbortSignal): Promise<SearchPage> {
    const before = request.before === undefined ? undefined : decodeCursor(request.before);
    return this.#ask(signal, () => this.#search(request, before, signal));
  }

  async histogram(request: HistogramRequest, signal: AbortSignal): Promise<Histogram> {
    return this.#ask(signal, () => countDocuments(this.#client, this.#stream, request, signal));
  }

  async arrivals(request: ArrivalRequest, signal: AbortSignal): Promise<ArrivalPage> {
    return this.#ask(signal, () => findArrivals(this.#client, this.#stream, request, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
  }

  /** Version and templates, once, and again after each failure. */
  #prepare(): Promise<void> {
    this.#prepared ??= prepareStream(this.#client, this.#options, this.#options.log).catch((error: unknown) => {
      this.#prepared = undefined;
      throw toSinkError(error);
    });
    return this.#prepared;
  }

  async #ask<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      this.#prepared = undefined;
      throw toSinkError(error);
    }
  }

  async #bulk(documents: readonly LogDocument[], signal: AbortSignal): Promise<Outcome[]> {
    if (documents.length === 0) return [];
    const body = documents
      .map(({ record, json }) => `{"create":{"_id":${JSON.stringify(record.id)}}}\n${json}`)
      .join('\n');
    try {
      const answer: Partial<estypes.BulkResponse> = await this.#client.bulk<string>(
        {
          index: this.#stream,
          operations: [body],
          require_data_stream: true,
          filter_path: 'error,status,errors,items.*.status,items.*.error,items.*._index,items.*.failure_store',
        },
        { signal },
      );
      return judge(answer.items ?? [], documents.length);
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      if (documents.length === 1) {
        const reason = `larger than Elasticsearch, or a proxy before it, takes (413): ${body.length} characters`;
        return [{ status: 'rejected', reason }];
      }
      const half = Math.ceil(documents.length / 2);
      const first = await this.#bulk(documents.slice(0, half), signal);
      return [...first, ...(await this.#bulk(documents.slice(half), signal))];
    }
  }

  /**
   * Sorts by time and sequence, which both have doc values anyway. Equal ones (of several spools) are a group that is
   * ordered by id here. A full page may cut its last group, so that one is left for the next page, which starts with it.
   */
  async #search(request: SearchRequest, before: Position | undefined, signal: AbortSignal): Promise<SearchPage> {
    // One more than asked for tells whether there is a next page.
    const wanted = request.limit + 1;
    const hits: Hit[] = [];
    let from = before;
    let least = 0;
    let most = window;
    while (pageLength(hits, wanted) === hits.length && hits.length < wanted) {
      const size = Math.min(most, Math.max(wanted - hits.length + spare, least));
      const answer = await this.#page(request, from, size, signal);
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
    request: SearchRequest,
    from: Position | undefined,
    size: number,
    signal: AbortSignal,
  ): Promise<Hit[] | undefined> {
    const { since, until, query } = request;
    const filter: estypes.QueryDslQueryContainer[] = query === undefined ? [] : [toElasticsearch(query)];
    if (since !== undefined || until !== undefined) {
      const range = { ...(since === undefined ? {} : { gte: since }), ...(until === undefined ? {} : { lt: until }) };
      filter.push({ range: { '@timestamp': { ...range, format: 'epoch_millis' } } });
    }
    const asked: Promise<Partial<estypes.SearchResponse>> = this.#client.search(
      {
        index: this.#stream,
        ignore_unavailable: true,
        size,
        track_total_hits: false,
        // Rather none than some.
        allow_partial_search_results: false,
        query: { bool: { filter } },
        sort: [
          { '@timestamp': { order: 'desc', unmapped_type: 'date', numeric_type: 'date' } },
          { 'event.sequence': { order: 'desc', unmapped_type: 'long', missing: 0 } },
        ],
        ...(from === undefined ? {} : { search_after: [from.time, from.sequence + 1] }),
      },
      { signal, ...(size > smallPage && { maxResponseSize: largestAnswer }) },
    );
    const answer = await asked.catch((error: unknown) => {
      if (signal.aborted || size <= smallPage || !(error instanceof errors.RequestAbortedError)) throw error;
      return undefined;
    });
    if (answer === undefined) return undefined;
    if (answer.hits === undefined) throw new SinkError('unavailable', 'Elasticsearch answered a search without hits');
    return answer.hits.hits.map(({ _id: id = '', _source, sort: [time, sequence] = [] }) => {
      return { id, time: Number(time), sequence: Number(sequence), json: JSON.stringify(_source) };
    });
  }
}

interface Hit extends Position {
  readonly json: string;
}

/** Above every id, which are ASCII. */
const greatestId = '\uffff';

/** Bytes of one answer to a search; of more, fewer hits are asked for, down to a small page. */
const largestAnswer = 2 * largestPage;
const smallPage = 16;

/** Hits beyond those asked for, so that a tie at the end of a page rarely costs another request. */
const spare = 50;

function isTie(a: Position, b: Position): boolean {
  return a.time === b.time && a.sequence === b.sequence;
}

function judge(items: readonly estypes.BulkResponse['items'][number][], expected: number): Outcome[] {
  const answers = items.map((item): BulkItem | undefined => {
    const { status, error, failure_store } = item.create ?? {};
    return status === undefined
      ? undefined
      : { status, ...(error && { error }), ...(failure_store && { failure_store }) };
  });
  const known = answers.filter((answer) => answer !== undefined);
  if (known.length !== expected)
    throw new SinkError('unavailable', 'Elasticsearch answered for other documents than those sent');
  return known.map(outcomeOf);
}
