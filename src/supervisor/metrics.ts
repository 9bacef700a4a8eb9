import { AggregatorRegistry, Counter, Gauge, type Registry } from 'prom-client';
import type { PipelineTotals, SpoolShare } from '../../ingest/pipeline.ts';
import { measureTotals } from '../logs/metrics.ts';
import type { Answer, Crew } from './messages.ts';

/** The metrics of all workers as those of one server. What a worker counted is lost with it, but not what ledgers have. */
export function mergeMetrics(
  answers: readonly Answer[],
  { workers, deaths }: Crew,
  totalsOf: (shares: readonly SpoolShare[]) => PipelineTotals,
): Registry {
  const counted = answers.flatMap((answer) => (answer.about === 'metrics' ? [answer] : []));
  const registry = AggregatorRegistry.aggregate<Registry['contentType']>(counted.map(({ families }) => families));
  measureTotals(registry, totalsOf(counted.map(({ share }) => share)));
  const up = new Gauge({ name: 'shiplog_workers', help: 'Workers that take connections.', registers: [registry] });
  up.set(workers);
  const died = new Counter({
    name: 'shiplog_worker_deaths_total',
    help: 'Workers that died since the start, and were replaced.',
    registers: [registry],
  });
  died.inc(deaths);
  return registry;
}
