import { Router } from '@koa/router';
import { MemoryBudget } from '../http/body.ts';
import { logReadersOnly } from '../http/log-readers.ts';
import type { RequestState } from '../http/state.ts';
import { acceptLogs, type AcceptOptions } from './accept.ts';
import type { LogPipeline } from './pipeline.ts';
import { searchLogs } from './search.ts';

/** What the log API works with. */
export interface LogsOptions {
  readonly pipeline: LogPipeline;
  readonly clusterOf: AcceptOptions['clusterOf'];
}

/** Bytes of records in memory, over all requests; each is there as it came, inflated, and compacted. */
const memory = 192 * 1024 * 1024;

/** `POST /logs` and `GET /api/logs`. */
export function logsRouter({ pipeline, clusterOf }: LogsOptions): Router<RequestState> {
  const router = new Router<RequestState>({ sensitive: true });
  router.post('/logs', acceptLogs({ pipeline, clusterOf, budget: new MemoryBudget(memory) }));
  router.use('/api/logs', logReadersOnly);
  router.get('/api/logs', searchLogs(pipeline));
  return router;
}
