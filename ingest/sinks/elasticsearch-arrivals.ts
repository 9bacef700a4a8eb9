import type { Client } from '@elastic/elasticsearch';
import { type ArrivalPage, type ArrivalRequest, largestArrivals } from '../query/arrivals.ts';
import { compare } from '../query/cursor.ts';
import { pageLength } from '../query/search.ts';
import { findHits, matching } from './elasticsearch-hits.ts';

/** Finds documents of a data stream by `event.ingested`. Throws what the client throws. */
export async function findArrivals(
  client: Client,
  stream: string,
  { query, since, limit }: ArrivalRequest,
  signal: AbortSignal,
): Promise<ArrivalPage> {
  const asked = {
    stream,
    query: matching(query, 'event.ingested', { gte: since }),
    // Those that came last, the last first.
    sort: [{ 'event.ingested': { order: 'desc', unmapped_type: 'date' } }],
    largest: 4 * largestArrivals,
  } as const;
  for (let size = limit; ; size = Math.ceil(size / 4)) {
    const hits = await findHits(client, { ...asked, size }, signal);
    if (hits === undefined) continue;
    const length = pageLength(hits, size, largestArrivals);
    const records = hits.slice(0, length).toSorted((a, b) => compare(b, a));
    return {
      records: records.map(({ id, json }) => ({ id, json })),
      cut: hits.length === size || length < hits.length,
    };
  }
}
