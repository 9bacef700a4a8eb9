import { Router } from '@koa/router';
import type { ParameterizedContext } from 'koa';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { finalStatus } from './failures.ts';
import { logReadersOnly } from './log-readers.ts';
import type { RequestState } from './state.ts';

/** What is measured, and how it is asked for. */
export interface Metrics {
  /** Counts a request that has ended so many ms after it began. */
  count(ctx: ParameterizedContext<RequestState>, ms: number): void;
  /** `GET /metrics`, in Prometheus' text format. */
  readonly router: Router<RequestState>;
}

/**
 * Measures this process and its requests.
 * @param collect All that there is to be told, of this process and others.
 */
export function createMetrics(registry = new Registry(), collect = async (): Promise<Registry> => registry): Metrics {
  collectDefaultMetrics({ register: registry });
  const duration = new Histogram({
    name: 'shiplog_http_request_duration_seconds',
    help: 'Time from the head of a request to the end of its answer.',
    labelNames: ['route', 'code'] as const,
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120, 600],
    registers: [registry],
  });
  const router = new Router<RequestState>({ sensitive: true });
  router.get('/metrics', logReadersOnly, async (ctx) => {
    const all = await collect();
    ctx.body = await all.metrics();
    ctx.set('Content-Type', all.contentType);
  });
  return {
    count({ state, res, _matchedRoute: matched }, ms) {
      const route = state.route ?? (typeof matched === 'string' ? matched : 'none');
      duration.observe({ route, code: String(finalStatus(res)) }, ms / 1000);
    },
    router,
  };
}
