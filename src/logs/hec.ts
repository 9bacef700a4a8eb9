import { hecListener } from '../../ingest/parse/message.ts';
import { type MemoryBudget, withBody } from '../http/body.ts';
import { HttpError } from '../http/errors.ts';
import type { Handler } from '../http/state.ts';
import type { LogPipeline } from './pipeline.ts';
import { readRecords } from './records.ts';
import { commit, sendersOf } from './senders.ts';

/** Where Splunk's HTTP Event Collector takes events; Docker's driver posts to the last. */
export const collectorPaths = ['/services/collector', '/services/collector/event', '/services/collector/event/1.0'];
export const collectorHealthPaths = ['/services/collector/health', '/services/collector/health/1.0'];

/**
 * The most bytes of one request, also after inflation: Docker's driver posts up to 1,000 lines at once, each of up to
 * 80 KiB, and drops what is refused for good.
 */
const limit = 32 * 1024 * 1024;

/** What the collector needs. */
export interface CollectorOptions {
  readonly pipeline: Pick<LogPipeline, 'accept' | 'status'>;
  readonly budget: MemoryBudget;
  /** The cluster that the configuration gives to an address. */
  readonly clusterOf: (address: string) => string | undefined;
}

/**
 * Takes events as Splunk's collector does: objects one behind the other. All are durable when it answers, or none is
 * kept.
 */
export function acceptEvents({ pipeline, budget, clusterOf }: CollectorOptions): Handler {
  const sourceOf = sendersOf(hecListener, clusterOf);
  return async (ctx) => {
    await withBody(ctx.req, { limit, budget }, async (body) => {
      const { count, lines } = await readRecords(body, 'concatenated', requireEvent);
      if (count === 0) throw new HttpError(400, 'NO_DATA', 'there is no event');
      const arrivedAt = Date.now() * 1000;
      await commit(pipeline, { kind: 'json-records', source: sourceOf(ctx), arrivedAt, flags: {}, payload: lines });
    });
    ctx.body = { text: 'Success', code: 0 };
  };
}

function requireEvent(record: object, place: string): void {
  const { event }: { event?: unknown } = record;
  if (event === undefined || event === null) throw new HttpError(400, 'EVENT_MISSING', `${place} has no event`);
  if (event === '') throw new HttpError(400, 'EVENT_BLANK', `the event of ${place} is blank`);
}

/** By this Docker's driver finds out, without its token, whether there is a collector. */
export const answerOptions: Handler = (ctx) => {
  ctx.set('Allow', 'OPTIONS, POST');
  ctx.body = { text: 'Success', code: 0 };
};

/** Whether the collector takes events, for load balancers. */
export function answerHealth({ pipeline }: Pick<CollectorOptions, 'pipeline'>): Handler {
  return (ctx) => {
    const full = pipeline.status().spoolFull;
    ctx.status = full ? 503 : 200;
    ctx.body = full ? { text: 'HEC is unhealthy, queues are full', code: 18 } : { text: 'HEC is healthy', code: 17 };
  };
}

/** Failures in the words of Splunk's collector ("Troubleshoot HTTP Event Collector", "Possible error codes"). */
const words: Readonly<Record<string, readonly [status: number, text: string, code: number]>> = {
  TOKEN_INVALID: [403, 'Invalid token', 4],
  NO_DATA: [400, 'No data', 5],
  EVENT_MISSING: [400, 'Event field is required', 12],
  EVENT_BLANK: [400, 'Event field cannot be blank', 13],
  UNAVAILABLE: [503, 'Server is busy', 9],
  TOO_LARGE: [413, 'Request entity too large', 27],
};

/** A failure as Splunk's collector tells of it; what is wrong in particular stands beside it. */
class CollectorError extends HttpError {
  readonly #answer: { readonly text: string; readonly code: number; readonly detail: string };

  constructor(error: HttpError, status: number, text: string, code: number) {
    super(status, error.code, error.message, { headers: error.headers, cause: error });
    this.#answer = { text, code, detail: error.message };
  }

  override toJSON(): object {
    return this.#answer;
  }
}

/** Tells clients of the collector of failures in its words. */
export const failAsCollector: Handler = async (ctx, next) => {
  try {
    await next();
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    throw new CollectorError(error, ...wordsFor(error, ctx.get('Authorization')));
  }
};

function wordsFor({ status, code }: HttpError, authorization: string): readonly [number, string, number] {
  const found = Object.hasOwn(words, code) ? words[code] : undefined;
  if (found !== undefined) return found;
  if (status === 401 && authorization === '') return [401, 'Token is required', 2];
  if (status === 401)
    return /^splunk /i.test(authorization) ? [403, 'Invalid token', 4] : [401, 'Invalid authorization', 3];
  if (status === 403) return [403, 'Token disabled', 1];
  return status < 500 ? [status, 'Invalid data format', 6] : [status, 'Internal server error', 8];
}
