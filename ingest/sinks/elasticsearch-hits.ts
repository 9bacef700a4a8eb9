import { type Client, errors, type estypes } from '@elastic/elasticsearch';
import type { Query } from '../query/ast.ts';
import type { Position } from '../query/cursor.ts';
import { toElasticsearch } from '../query/to-elasticsearch.ts';
import { SinkError } from './sink.ts';

/** A document as it was found. */
export interface Hit extends Position {
  readonly json: string;
}

/** What documents must be like. */
export interface Matching {
  readonly bool: { filter: estypes.QueryDslQueryContainer[] };
}

/** Which documents of a data stream are asked for: the newest of those that match. */
export interface HitsRequest {
  readonly stream: string;
  readonly query: Matching;
  /** What they are sorted by before time and sequence. */
  readonly sort?: readonly estypes.SortOptions[];
  /** Only what comes after such values of what they are sorted by. */
  readonly after?: readonly number[];
  readonly size: number;
  /** Bytes of the answer. */
  readonly largest: number;
}

/** So many hits are taken however large they are. */
const smallPage = 16;

/** Documents that match a query, if there is one, and whose `field` is a time within bounds, in ms since 1970. */
export function matching(
  query: Query | undefined,
  field: string,
  bounds: { readonly gte?: number; readonly lt?: number },
): Matching {
  const filter: estypes.QueryDslQueryContainer[] = query === undefined ? [] : [toElasticsearch(query)];
  if (Object.keys(bounds).length > 0) filter.push({ range: { [field]: { ...bounds, format: 'epoch_millis' } } });
  return { bool: { filter } };
}

/** Undefined: together they are too large; ask for fewer. Throws what the client throws. */
export async function findHits(
  client: Client,
  { stream, query, sort = [], after, size, largest }: HitsRequest,
  signal: AbortSignal,
): Promise<Hit[] | undefined> {
  const asked: Promise<Partial<estypes.SearchResponse>> = client.search(
    {
      index: stream,
      ignore_unavailable: true,
      size,
      track_total_hits: false,
      // Rather none than some.
      allow_partial_search_results: false,
      query,
      sort: [
        ...sort,
        { '@timestamp': { order: 'desc', unmapped_type: 'date', numeric_type: 'date' } },
        { 'event.sequence': { order: 'desc', unmapped_type: 'long', missing: 0 } },
      ],
      ...(after !== undefined && { search_after: [...after] }),
    },
    { signal, ...(size > smallPage && { maxResponseSize: largest }) },
  );
  const answer = await asked.catch((error: unknown) => {
    if (signal.aborted || size <= smallPage || !(error instanceof errors.RequestAbortedError)) throw error;
    return undefined;
  });
  if (answer === undefined) return undefined;
  if (answer.hits === undefined) throw new SinkError('unavailable', 'Elasticsearch answered a search without hits');
  return answer.hits.hits.map(({ _id: id = '', _source, sort: values = [] }) => {
    const [time, sequence] = values.slice(-2);
    return { id, time: Number(time), sequence: Number(sequence), json: JSON.stringify(_source) };
  });
}
