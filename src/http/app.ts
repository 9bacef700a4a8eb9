import Koa from 'koa';
import type { RequestListener } from 'node:http';
import type { BlockList } from 'node:net';
import type { Logger } from 'pino';
import { answerFailures } from './failures.ts';
import type { Metrics } from './metrics.ts';
import { requestLog } from './request-log.ts';
import { isRegistryPath } from '../registry/paths.ts';
import { peerOf, type RequestState } from './state.ts';

/** What an application is made of. */
export interface AppOptions {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly trustedProxies: BlockList;
  /** Adds what answers requests, in its order; what nothing answers is a 404. */
  readonly mount: (app: Koa<RequestState>) => void;
}

/** A client that went away, which is no error of the server; Koa tells of these as of any other. */
const connectionError = /^(?:ERR_STREAM_PREMATURE_CLOSE|ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|HPE_.*)$/;

/** The application: who asks, the log, times, answers to failures, and then what was mounted. */
export function createApp({ log, metrics, trustedProxies, mount }: AppOptions): RequestListener {
  const app = new Koa<RequestState>();
  app.on('error', (error: NodeJS.ErrnoException) => {
    if (!connectionError.test(error.code ?? '')) log.error({ err: error }, 'an answer broke off');
  });
  const logRequest = requestLog(log);
  app.use((ctx, next) => {
    const start = performance.now();
    ctx.state.peer = peerOf(ctx.req, trustedProxies);
    // Docker's registry API: each answer names the version, also those to who is not let in.
    if (isRegistryPath(ctx.path)) ctx.set('Docker-Distribution-API-Version', 'registry/2.0');
    const logEnd = logRequest(ctx);
    ctx.res.on('close', () => {
      const ms = performance.now() - start;
      metrics.count(ctx, ms);
      logEnd(ms);
    });
    return next();
  });
  app.use(answerFailures);
  mount(app);
  const handle = app.callback();
  return (request, response) => {
    const target = originForm(request.url ?? '');
    // As Node answers what is no HTTP.
    if (target === undefined) return void response.writeHead(400, { Connection: 'close' }).end();
    request.url = target;
    void handle(request, response);
  };
}

/** "A server MUST accept the absolute-form" of a target (RFC 9112, section 3.2.2). Undefined: it is no target of HTTP. */
function originForm(target: string): string | undefined {
  if (target.startsWith('/') || target.startsWith('*')) return target;
  const url = URL.parse(target);
  return url !== null && /^https?:$/.test(url.protocol) ? url.pathname + url.search : undefined;
}
