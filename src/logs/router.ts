import { Router } from '@koa/router';
import { credentialsOf } from '../auth/basic.ts';
import { MemoryBudget } from '../http/body.ts';
import { HttpError } from '../http/errors.ts';
import { logReadersOnly } from '../http/log-readers.ts';
import type { Handler, RequestState } from '../http/state.ts';
import { acceptLogs, type AcceptOptions } from './accept.ts';
import { dropDeadLetters, listDeadLetters, replayDeadLetters, showDeadLetter } from './dead-letters.ts';
import {
  acceptEvents,
  answerHealth,
  answerOptions,
  collectorHealthPaths,
  collectorPaths,
  failAsCollector,
} from './hec.ts';
import { countLogs } from './histogram.ts';
import type { LogPipeline } from './pipeline.ts';
import { searchLogs } from './search.ts';
import { tailLogs } from './tail.ts';
import type { SenderTokens } from './tokens.ts';

/** What the log API works with. */
export interface LogsOptions {
  readonly pipeline: LogPipeline;
  readonly clusterOf: AcceptOptions['clusterOf'];
  /** Undefined: there are none. */
  readonly tokens: SenderTokens | undefined;
  /** Given when the service ends: tails end then. */
  readonly ending: AbortSignal;
}

/** The log API. */
export interface LogRoutes {
  /** For senders with a token, and what anyone may ask; it goes before the authentication of users. */
  readonly open: Router<RequestState>;
  /** For users. */
  readonly users: Router<RequestState>;
}

/** Bytes of records in memory, over all requests; each is there as it came, inflated, and compacted. */
const memory = 192 * 1024 * 1024;

/** `POST /logs`, Splunk's HTTP Event Collector, `/api/logs` and `/api/dead-letters`. */
export function logRoutes({ pipeline, clusterOf, tokens, ending }: LogsOptions): LogRoutes {
  const options = { pipeline, clusterOf, budget: new MemoryBudget(memory) };
  const [logs, events] = [acceptLogs(options), acceptEvents(options)];
  const withToken = byToken(tokens);

  const open = new Router<RequestState>({ sensitive: true });
  open.options(collectorPaths, answerOptions);
  open.get(collectorHealthPaths, answerHealth(options));
  open.post('/logs', withToken(logs));
  open.post(collectorPaths, failAsCollector, withToken(events));

  const users = new Router<RequestState>({ sensitive: true });
  users.post('/logs', logs);
  users.post(collectorPaths, events);
  users.use('/api/logs', logReadersOnly);
  users.get('/api/logs', searchLogs(pipeline));
  users.get('/api/logs/histogram', countLogs(pipeline));
  users.get('/api/logs/tail', tailLogs(pipeline, { ending }));
  users.use('/api/dead-letters', logReadersOnly);
  users.get('/api/dead-letters', listDeadLetters(pipeline));
  users.get('/api/dead-letters/:id', showDeadLetter(pipeline));
  users.post('/api/dead-letters/replay', replayDeadLetters(pipeline));
  users.delete('/api/dead-letters', dropDeadLetters(pipeline));
  return { open, users };
}

/**
 * Takes the records of who shows a token, which gives the right to nothing else; others are left to what comes next.
 */
function byToken(tokens: SenderTokens | undefined): (accept: Handler) => Handler {
  return (accept) => async (ctx, next) => {
    const { scheme = '', value = '' } = credentialsOf(ctx.req) ?? {};
    const token = scheme === 'splunk' || scheme === 'bearer' ? tokens?.find(value) : undefined;
    if (token === undefined) {
      if (tokens !== undefined && /^splunk /i.test(ctx.get('Authorization'))) {
        throw new HttpError(403, 'TOKEN_INVALID', 'there is no such token');
      }
      await next();
      return;
    }
    ctx.state.token = token;
    await accept(ctx, next);
  };
}
