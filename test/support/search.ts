import { setTimeout as sleep } from 'node:timers/promises';
import type { Server } from './server.ts';

/** A record as the search gives it: the document of Elasticsearch's common schema. */
export interface Found {
  readonly message: string;
  readonly [field: string]: unknown;
}

/** Searches a server, page by page to the end: records, newest first. `authorization` is a header's value. */
export async function search(server: Server, query: string, authorization?: string): Promise<Found[]> {
  const headers = authorization === undefined ? {} : { authorization };
  const found: Found[] = [];
  for (let before = ''; ;) {
    const parameters = new URLSearchParams({ q: query, limit: '50000', ...(before !== '' && { before }) });
    const answer = await fetch(`${server.url}/api/logs?${String(parameters)}`, { headers });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`search for ${query}: ${answer.status} ${text}`);
    const page: { records: Found[]; next?: string } = JSON.parse(text);
    found.push(...page.records);
    if (page.next === undefined) return found;
    before = page.next;
  }
}

/**
 * Asks again and again until the answer is good, or the time is over; then the last answer, or failure, is the outcome.
 * A sink that is starting may fail for a while.
 */
export async function eventually<T>(ask: () => Promise<T>, good: (answer: T) => boolean, ms = 20_000): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    try {
      const answer = await ask();
      if (good(answer) || performance.now() > end) return answer;
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await sleep(100);
  }
}
