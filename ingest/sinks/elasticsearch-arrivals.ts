import { type Client, errors, type estypes } from '@elastic/elasticsearch';
import { type ArrivalPage, type ArrivalRequest, largestArrivals } from '../query/arrivals.ts';
import { compare, type Position } from '../query/cursor.ts';
import { pageLength } from '../query/search.ts';
import { toElasticsearch } from '../query/to-elasticsearch.ts';
import { SinkError } from './sink.ts';

/** Bytes of one answer; of more, fewer hits are asked for, down to a small page. */
const largestAnswer = 4 * largestArrivals;
const smallPage = 16;

/** Finds documents of a data stream by `event.ingested`. Throws what the client throws. */
export async function findArrivals(
  client: Client,
  stream: string,
  request: ArrivalRequest,
  signal: AbortSignal,
): Promise<ArrivalPage> {
  for (let size = request.limit; ; size = Math.ceil(size / 4)) {
    const hits = await ask(client, stream, request, size, signal);
    if (hits === undefined) continue;
    const length = pageLength(hits, size, largestArrivals);
    const records = hits.slice(0, length).toSorted((a, b) => compare(b, a));
    return {
      records: records.map(({ id, json }) => ({ id, json })),
      cut: hits.length === size || length < hits.length,
    };
  }
}

interface Hit extends Position {
  readonly json: string;
}

/** Those that came last, the last first. Undefined: together they are too large. */
async function ask(
  client: Client,
  stream: string,
  { query, since }: ArrivalRequest,
  size: number,
  signal: AbortSignal,
): Promise<readonly Hit[] | undefined> {
  const filter: estypes.QueryDslQueryContainer[] = query === undefined ? [] : [toElasticsearch(query)];
  filter.push({ range: { 'event.ingested': { gte: since, format: 'epoch_millis' } } });
  const asked: Promise<Partial<estypes.SearchResponse>> = client.search(
    {
      index: stream,
      ignore_unavailable: true,
      size,
      track_total_hits: false,
      allow_partial_search_results: false,
      query: { bool: { filter } },
      sort: [
        { 'event.ingested': { order: 'desc', unmapped_type: 'date' } },
        { '@timestamp': { order: 'desc', unmapped_type: 'date', numeric_type: 'date' } },
        { 'event.sequence': { order: 'desc', unmapped_type: 'long', missing: 0 } },
      ],
    },
    { signal, ...(size > smallPage && { maxResponseSize: largestAnswer }) },
  );
  const answer = await asked.catch((error: unknown) => {
    if (signal.aborted || size <= smallPage || !(error instanceof errors.RequestAbortedError)) throw error;
    return undefined;
  });
  if (answer === undefined) return undefined;
  if (answer.hits === undefined) throw new SinkError('unavailable', 'Elasticsearch answered a search without hits');
  return answer.hits.hits.map(({ _id: id = '', _source, sort: [, time, sequence] = [] }) => {
    return { id, time: Number(time), sequence: Number(sequence), json: JSON.stringify(_source) };
  });
}
