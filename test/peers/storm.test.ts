import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { settledLedgers } from '../support/ledgers.ts';
import { search } from '../support/search.ts';
import { startServer } from '../support/server.ts';
import { checkStorm, storm } from '../support/storm.ts';
import { startElasticsearch } from './support/elasticsearch.ts';

test('shiplog is killed, and Elasticsearch is stopped and started: all that was acknowledged is found, once', async () => {
  await using elasticsearch = await startElasticsearch();
  await using server = await startServer({
    SHIPLOG_LOGS_SINK: 'elasticsearch',
    SHIPLOG_LOGS_ELASTICSEARCH_NODES: elasticsearch.url,
    SHIPLOG_LOGS_ELASTICSEARCH_DATASET: 'storm',
  });
  let outage: Promise<void> = Promise.resolve();
  const state = await storm({
    server,
    count: 100_000,
    connections: 4,
    kills: 4,
    async afterRestart(kill) {
      if (kill !== 2) return;
      await elasticsearch.stop();
      // It is away while the storm goes on, and through the next kill.
      outage = sleep(3000).then(() => elasticsearch.start());
    },
  });
  await outage;
  expect(state.answered.size).toBeGreaterThanOrEqual(100_000);

  const { records } = await settledLedgers(server, 120_000);
  await fetch(`${elasticsearch.url}/logs-storm-default/_refresh`, { method: 'POST' });
  const hosts = [await search(server, 'host:storm'), await search(server, 'host:storm-http')];
  const messages = hosts.flatMap((found) => found.map(({ message }) => message).toReversed());
  const found = checkStorm(state, messages);
  expect(found.lines).toBeGreaterThan(50_000);
  expect(records['indexed']).toBe(found.lines + found.records);
  console.log(`${found.lines} lines and ${found.records} records found; ${state.unanswered.size} had no answer`);
}, 400_000);
