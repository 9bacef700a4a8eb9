import type { PipelineStatus } from '../../ingest/pipeline.ts';
import type { Readiness } from '../http/health.ts';

/** Whether logs are taken. While the sink is away they are, until the spool is full. */
export function logsReadiness({ spoolFull, trouble }: Pick<PipelineStatus, 'spoolFull' | 'trouble'>): Readiness {
  const sink = trouble === undefined ? 'ok' : `ok, but the sink takes nothing: ${trouble.reason}`;
  return { ready: !spoolFull, state: spoolFull ? `the spool is full; sink: ${sink}` : sink };
}
