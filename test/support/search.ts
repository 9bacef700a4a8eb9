import { setTimeout as sleep } from 'node:timers/promises';
import type { Server } from './server.ts';

/** A record as the search gives it: the document of Elasticsearch's common schema. */
export interface Found {
  readonly message: string;
  readonly [field: string]: unknown;
}

/** Searches a server: records, newest first. `authorization` is a header's value. */
export async function search(server: Server, query: string, authorization?: string): Promise<Found[]> {
  const answer = await fetch(`${server.url}/api/logs?limit=50000&q=${encodeURIComponent(query)}`, {
    headers: authorization === undefined ? {} : { authorization },
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`search for ${query}: ${answer.status} ${text}`);
  const page: { records: Found[] } = JSON.parse(text);
  return page.records;
}

/** Asks again and again until the answer is good; the last one is given back in any case, to be looked at. */
export async function eventually<T>(ask: () => Promise<T>, good: (answer: T) => boolean, ms = 15_000): Promise<T> {
  for (const end = performance.now() + ms; ;) {
    const answer = await ask();
    if (good(answer) || performance.now() > end) return answer;
    await sleep(50);
  }
}
