import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startServer, type Server } from '../support/server.ts';
import { checkStorm, storm } from '../support/storm.ts';
import { readLedgers } from '../support/ledgers.ts';

async function search(server: Server, query: string): Promise<string[]> {
  const answer = await fetch(`${server.url}/api/logs?limit=50000&q=${encodeURIComponent(query)}`);
  expect(answer.status).toBe(200);
  const page: { records: { message: string }[] } = JSON.parse(await answer.text());
  return page.records.map(({ message }) => message).toReversed();
}

test('what was acknowledged before kill -9 is found exactly once, and each connection without a gap', async () => {
  await using server = await startServer();
  const state = await storm({ server, count: 10_000, connections: 4, kills: 2 });
  expect(state.answered.size).toBeGreaterThanOrEqual(10_000);

  let ledgers = await readLedgers(server);
  for (let wait = 0; ledgers.bytes.unread > 0 && wait < 400; wait += 1) {
    await sleep(50);
    ledgers = await readLedgers(server);
  }
  const found = checkStorm(state, [
    ...(await search(server, 'host:storm')),
    ...(await search(server, 'host:storm-http')),
  ]);

  const { bytes, records } = ledgers;
  expect(bytes.unread).toBe(0);
  expect(bytes.committed).toBe(bytes.read + bytes.unread + bytes.dropped + bytes.quarantined);
  expect(records.read).toBe(found.lines + found.records);
  expect(records.read).toBe(records.indexed + records.deadLettered + records.failureStore + records.dropped);
}, 60_000);
