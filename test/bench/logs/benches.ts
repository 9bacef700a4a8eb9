import type { Bench, Contestant } from '../frame/bench.ts';
import { rsyslogConfiguration } from './rsyslog.ts';
import { burst } from './burst.ts';
import { logsElasticsearch } from './elasticsearch.ts';
import { embedded } from './embedded.ts';
import { searchBenches } from './searches.ts';
import { type LogServer, rsyslog, shiplog } from './servers.ts';
import { udpLosses } from './udp-loss.ts';

/** Lines of one round. */
const lines = 500_000;

async function toSink(open: () => Promise<LogServer>): Promise<Contestant> {
  const server = await open();
  return {
    pids: server.pids,
    async round() {
      const { operations, seconds, cpu } = await server.send({ lines });
      return { value: operations / seconds, operations: operations / 1e6, loadCores: cpu / seconds };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** All loads of logs. */
export const logBenches: readonly Bench[] = [
  {
    name: 'logs-sink',
    title: 'syslog lines over TCP, to a bulk sink that answers at once',
    unit: 'lines/s',
    better: 'more',
    operation: 'million lines',
    rounds: 3,
    goals: [
      { than: 'rsyslog memory', ratio: 1.5 },
      { than: 'rsyslog disk', ratio: 5 },
      { than: 'rsyslog memory', cpuRatio: 0.75 },
      { than: 'rsyslog disk', cpuRatio: 0.25 },
    ],
    contestants: new Map([
      ['shiplog', () => toSink(shiplog)],
      ['rsyslog memory', () => toSink(() => rsyslog('memory'))],
      ['rsyslog disk', () => toSink(() => rsyslog('disk'))],
    ]),
  },
  logsElasticsearch,
  burst,
  ...udpLosses,
  embedded,
  ...searchBenches,
];

/** rsyslog's configuration, as it is printed. */
export function rsyslogConfigurations(): string {
  return (['memory', 'disk'] as const)
    .map((queue) => rsyslogConfiguration(queue, 'FOLDER', 514, { port: 9200, index: 'logs' }))
    .join('\n');
}
