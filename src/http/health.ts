import { Router } from '@koa/router';
import type { RequestState } from './state.ts';

/** Whether a part can do its work; `reason` says why not. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: string };

/** Asks one part. */
export type Probe = () => Promise<Readiness> | Readiness;

/** `/health/live`: the process answers. `/health/ready`: each part can do its work; 503 where one cannot. */
export function healthRouter(parts: Readonly<Record<string, Probe>>): Router<RequestState> {
  const router = new Router<RequestState>({ sensitive: true });
  router.get('/health/live', (ctx) => {
    ctx.body = { status: 'ok' };
  });
  router.get('/health/ready', async (ctx) => {
    const answers = await Promise.all(
      Object.entries(parts).map(async ([name, probe]) => [name, await probe()] as const),
    );
    const ready = answers.every(([, answer]) => answer.ready);
    ctx.body = {
      status: ready ? 'ok' : 'not ready',
      parts: Object.fromEntries(answers.map(([name, answer]) => [name, answer.ready ? 'ok' : answer.reason])),
    };
    ctx.status = ready ? 200 : 503;
  });
  return router;
}
