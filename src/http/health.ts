import { Router } from '@koa/router';
import type { RequestState } from './state.ts';

/** Whether a part can do its work, and how it is, in words. */
export interface Readiness {
  readonly ready: boolean;
  readonly state: string;
}

/** Asks one part. */
export type Probe = () => Readiness;

/** `/health/live`: the process answers. `/health/ready`: each part can do its work; 503 where one cannot. */
export function healthRouter(parts: Readonly<Record<string, Probe>>): Router<RequestState> {
  const router = new Router<RequestState>({ sensitive: true });
  router.get('/health/live', (ctx) => {
    ctx.body = { status: 'ok' };
  });
  router.get('/health/ready', (ctx) => {
    const answers = Object.entries(parts).map(([name, probe]) => [name, probe()] as const);
    const ready = answers.every(([, answer]) => answer.ready);
    ctx.body = {
      status: ready ? 'ok' : 'not ready',
      parts: Object.fromEntries(answers.map(([name, answer]) => [name, answer.state])),
    };
    ctx.status = ready ? 200 : 503;
  });
  return router;
}
