import { Router } from '@koa/router';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { finalStatus } from './failures.ts';
import { logReadersOnly } from './log-readers.ts';
import type { Handler, RequestState } from './state.ts';

/** What is measured, and how it is asked for. */
export interface Metrics {
  readonly registry: Registry;
  /** Times requests. */
  readonly middleware: Handler;
  /** `GET /metrics`, in Prometheus' text format. */
  readonly router: Router<RequestState>;
}

/** Metrics of this process and its requests. */
export function createMetrics(): Metrics {
  const registry = new Registry();
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
    ctx.body = await registry.metrics();
    ctx.set('Content-Type', registry.contentType);
  });
  return {
    registry,
    middleware: async (ctx, next) => {
      const start = performance.now();
      ctx.res.once('close', () => {
        const { _matchedRoute: route } = ctx;
        duration.observe(
          { route: typeof route === 'string' ? route : 'none', code: String(finalStatus(ctx.res)) },
          (performance.now() - start) / 1000,
        );
      });
      await next();
    },
    router,
  };
}
