import { expect, test } from 'vitest';
import { settledLedgers } from '../support/ledgers.ts';
import { search } from '../support/search.ts';
import { startServer } from '../support/server.ts';
import { checkStorm, storm } from '../support/storm.ts';

test('what was acknowledged before kill -9 is found exactly once, and each connection without a gap', async () => {
  await using server = await startServer();
  const state = await storm({ server, count: 10_000, connections: 4, kills: 2 });
  expect(state.answered.size).toBeGreaterThanOrEqual(10_000);
  expect(state.committed.size).toBeGreaterThan(0);

  const { records } = await settledLedgers(server, 20_000);
  const hosts = [await search(server, 'host:storm'), await search(server, 'host:storm-http')];
  const messages = hosts.flatMap((found) => found.map(({ message }) => message).toReversed());
  const found = checkStorm(state, messages);
  expect(found.lines).toBeGreaterThan(5_000);
  expect(records['indexed']).toBe(found.lines + found.records);
}, 60_000);
