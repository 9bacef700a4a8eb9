import type { Client, estypes } from '@elastic/elasticsearch';
import { bucketCount, type Histogram, type HistogramRequest, mostFrequent, mostValues } from '../query/histogram.ts';
import { matching } from './elasticsearch-hits.ts';
import { SinkError } from './sink.ts';

/** Values that each shard tells of: the counts of the most frequent ones are exact where a shard has no more. */
const valuesOfShard = 1000;

/** Counts the documents of a data stream by time. Throws what the client throws. */
export async function countDocuments(
  client: Client,
  stream: string,
  request: HistogramRequest,
  signal: AbortSignal,
): Promise<Histogram> {
  const { query, since, until, interval, field } = request;
  const byTime: estypes.AggregationsAggregationContainer = {
    date_histogram: {
      field: '@timestamp',
      fixed_interval: `${interval}ms`,
      offset: `+${since % interval}ms`,
      min_doc_count: 1,
    },
  };
  const byValue = field !== undefined && {
    byValue: { terms: { field, size: mostValues, shard_size: valuesOfShard }, aggs: { byTime } },
  };
  const answer: Partial<estypes.SearchResponse<unknown, Aggregations>> = await client.search(
    {
      index: stream,
      ignore_unavailable: true,
      size: 0,
      track_total_hits: false,
      allow_partial_search_results: false,
      query: matching(query, '@timestamp', { gte: since, lt: until }),
      aggs: { byTime, ...byValue },
    },
    { signal },
  );
  const { aggregations } = answer;
  // Before the first document there is no index that could count.
  if (answer.hits === undefined) throw new SinkError('unavailable', 'Elasticsearch answered a count without hits');
  const spread = (buckets: readonly TimeBucket[]): number[] => {
    const counts = Array.from({ length: bucketCount(request) }, () => 0);
    for (const { key, doc_count: count } of buckets) counts[Math.floor((key - since) / interval)] = count;
    return counts;
  };
  const values = (aggregations?.byValue?.buckets ?? []).map(({ key, byTime }): [string, number[]] => [
    String(key),
    spread(byTime.buckets),
  ]);
  return { counts: spread(aggregations?.byTime?.buckets ?? []), values: mostFrequent(new Map(values)) };
}

interface TimeBucket {
  readonly key: number;
  readonly doc_count: number;
}

/** What comes of the aggregations above. */
interface Aggregations {
  readonly byTime?: { readonly buckets: readonly TimeBucket[] };
  readonly byValue?: {
    readonly buckets: readonly {
      readonly key: unknown;
      readonly byTime: { readonly buckets: readonly TimeBucket[] };
    }[];
  };
}
