import { setTimeout as sleep } from 'node:timers/promises';
import { type Elasticsearch, startElasticsearch } from '../../peers/support/elasticsearch.ts';
import type { Bench, Contestant } from '../frame/bench.ts';
import { type LogServer, rsyslog, shiplog } from './servers.ts';

/** Lines of one round. */
const lines = 100_000;
/** Where shiplog's documents go, by a template of its own. */
const stream = 'logs-docker-default';

/** A server beside an Elasticsearch of its own, into which shiplog put its template. */
async function toElasticsearch(open: (elasticsearch: Elasticsearch) => Promise<LogServer>): Promise<Contestant> {
  await using stack = new AsyncDisposableStack();
  const elasticsearch = stack.use(await startElasticsearch());
  const server = stack.use(await open(elasticsearch));
  let there = 0;
  const parts = stack.move();
  return {
    pids: server.pids,
    async round() {
      const start = performance.now();
      const { operations, cpu } = await server.send({ lines, wait: 'sent' });
      there += operations;
      await untilStored(elasticsearch, there);
      const seconds = (performance.now() - start) / 1000;
      return { value: operations / seconds, operations: operations / 1e6, loadCores: cpu / seconds };
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Waits until so many documents can be found. */
async function untilStored({ url }: Elasticsearch, count: number): Promise<void> {
  for (let last = -1, lastAt = performance.now(); ; await sleep(100)) {
    await fetch(`${url}/${stream}/_refresh`, { method: 'POST' });
    const answer = await fetch(`${url}/${stream}/_count`);
    const { count: found = 0 }: { readonly count?: number } = JSON.parse(await answer.text());
    if (found >= count) return;
    if (found !== last) [last, lastAt] = [found, performance.now()];
    if (performance.now() - lastAt > 30_000) throw new Error(`only ${found} of ${count} documents came`);
  }
}

function shiplogInto({ url }: Elasticsearch): Promise<LogServer> {
  return shiplog({ SHIPLOG_LOGS_ELASTICSEARCH_NODES: url });
}

/** rsyslog into a data stream of the same kind. */
async function rsyslogInto(elasticsearch: Elasticsearch): Promise<LogServer> {
  await using first = await shiplogInto(elasticsearch);
  await first.send({ lines: 8, wait: 'sent' });
  await untilStored(elasticsearch, 8);
  await fetch(`${elasticsearch.url}/_data_stream/${stream}`, { method: 'DELETE' });
  return rsyslog('memory', { port: Number(new URL(elasticsearch.url).port), index: stream });
}

/** The way to a real Elasticsearch, which takes most of the machine's time. */
export const logsElasticsearch: Bench = {
  name: 'logs-elasticsearch',
  title: 'syslog lines over TCP into Elasticsearch, until they are found',
  unit: 'lines/s',
  better: 'more',
  operation: 'million lines',
  rounds: 2,
  goals: [{ than: 'rsyslog memory', cpuRatio: 0.75 }],
  contestants: new Map([
    ['shiplog', () => toElasticsearch(shiplogInto)],
    ['rsyslog memory', () => toElasticsearch(rsyslogInto)],
  ]),
};
