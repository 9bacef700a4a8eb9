import type { Bench, Contestant } from '../frame/bench.ts';
import { type LogServer, rsyslog, shiplog } from './servers.ts';

/** Seconds for which datagrams are sent. */
const length = 5;

async function atRate(open: () => Promise<LogServer>, rate: number): Promise<Contestant> {
  const server = await open();
  return {
    pids: server.pids,
    async round() {
      const sent = await server.send({ network: 'udp', lines: rate * length, rate, wait: 'quiet' });
      const { operations, documents, cpu, seconds } = sent;
      return { value: (100 * documents) / operations, operations: documents / 1e6, loadCores: cpu / seconds };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** How many datagrams come through that are sent at a given rate. Each server asks for its own default buffer of the kernel. */
export const udpLosses: readonly Bench[] = [50_000, 100_000].map((rate) => ({
  name: `udp-${rate / 1000}k`,
  title: `datagrams kept of ${rate.toLocaleString('en')} sent a second`,
  unit: '%',
  better: 'more',
  operation: 'million lines',
  rounds: 3,
  goals: [],
  contestants: new Map([
    ['shiplog', () => atRate(shiplog, rate)],
    ['rsyslog memory', () => atRate(() => rsyslog('memory'), rate)],
  ]),
}));
