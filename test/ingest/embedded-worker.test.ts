import { expect, test } from 'vitest';
import { WorkerClient } from '../../ingest/sinks/embedded-worker.ts';

test('what is aborted before its turn costs the thread nothing', async () => {
  await using client = new WorkerClient<string, number>(new URL('../support/counting-worker.ts', import.meta.url));
  const first = client.ask('first');
  const gone = new AbortController();
  const others = Array.from({ length: 20 }, () => client.ask('other', gone.signal).catch(() => 'aborted'));
  const last = client.ask('last');
  gone.abort();
  expect(await Promise.all(others)).toEqual(others.map(() => 'aborted'));
  expect([await first, await last]).toEqual([1, 2]);
  expect(client.load).toBe(0);
});
