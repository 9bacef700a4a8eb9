import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ParameterizedContext } from 'koa';
import { HttpError } from './errors.ts';
import type { Handler, RequestState } from './state.ts';

/** How a request failed, for its line in the log. */
export interface Failure {
  readonly code: string;
  /** Why the server cannot, at this moment. */
  readonly reason?: string;
  /** Only of what nobody foresaw: it has a stack. */
  readonly error?: unknown;
}

/** How much of a body that nobody wants is still read, so that its sender comes to read the answer. */
const drainLimit = { bytes: 16 * 1024 * 1024, ms: 5000 } as const;

/** A body below this is read to its end, and the connection is kept. */
const smallBody = 64 * 1024;

/** The status of an answer that ended; 499, as nginx has it, where the client went away before it began. */
export function finalStatus(response: ServerResponse): number {
  return response.headersSent ? response.statusCode : 499;
}

const failures = new WeakMap<IncomingMessage, Failure>();

/** How a request failed; undefined where it did not. */
export function failureOf(request: IncomingMessage): Failure | undefined {
  return failures.get(request);
}

/** Answers failures: those of the client as they are, all others as a 500 that says nothing of the cause. */
export const answerFailures: Handler = async (ctx, next) => {
  try {
    await next();
    if (ctx.body === undefined && ctx.status === 404 && ctx.respond !== false) {
      throw new HttpError(404, 'NOT_FOUND', 'there is nothing at this path');
    }
  } catch (cause) {
    if (ctx.headerSent || !ctx.writable) {
      // Nobody is there to be answered, and whatever failed after that is no fault of the server.
      ctx.respond = false;
      ctx.res.destroy();
      return;
    }
    const error = cause instanceof HttpError ? cause : internalError(cause);
    failures.set(ctx.req, failureFrom(error));
    answer(ctx, error);
  }
};

function failureFrom(error: HttpError): Failure {
  const { code, status, message } = error;
  if (status < 500) return { code };
  if (status === 500) return { code, error: error.cause ?? error };
  const { cause } = error;
  return {
    code,
    reason: cause instanceof Error && cause.message !== message ? `${message}: ${cause.message}` : message,
  };
}

function internalError(cause: unknown): HttpError {
  // What Koa and its parts throw about a request: a path that cannot be decoded, say.
  if (isClientError(cause)) return new HttpError(cause.status, 'BAD_REQUEST', cause.message);
  return new HttpError(500, 'UNKNOWN', 'an internal error; the log of the server says more', { cause });
}

function isClientError(error: unknown): error is Error & { status: number } {
  if (!(error instanceof Error) || !('status' in error) || !('expose' in error)) return false;
  return error.expose === true && typeof error.status === 'number' && error.status >= 400 && error.status < 500;
}

function answer(ctx: ParameterizedContext<RequestState>, error: HttpError): void {
  // What a handler set for its success does not belong to the failure.
  for (const name of [
    'Content-Length',
    'Content-Encoding',
    'Content-Range',
    'ETag',
    'Cache-Control',
    'Last-Modified',
  ]) {
    ctx.remove(name);
  }
  const body = Buffer.from(`${JSON.stringify(error)}\n`);
  ctx.status = error.status;
  if (error.reason !== undefined) ctx.message = error.reason;
  ctx.set({ ...error.headers, 'Content-Type': 'application/json; charset=utf-8' });
  if (ctx.req.complete || ctx.method === 'HEAD') {
    ctx.body = body;
    return;
  }
  const length = ctx.req.headers['content-length'];
  if (length === undefined || Number(length) > smallBody) ctx.set('Connection', 'close');
  ctx.body = Readable.from(answerThenDrain(body, ctx.req));
  ctx.length = body.length;
}

/**
 * The whole answer, and then, before its stream ends, what the client still sends. Node closes a connection with unread
 * bytes by a reset, which may reach the client before it has read the answer (RFC 9112 section 9.6).
 */
async function* answerThenDrain(body: Buffer, request: IncomingMessage): AsyncGenerator<Buffer> {
  yield body;
  if (request.complete || request.destroyed) return;
  const done = new AbortController();
  const { signal } = done;
  let left: number = drainLimit.bytes;
  const count = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left < 0) done.abort();
  };
  request.on('data', count);
  request.resume();
  await Promise.race([
    once(request, 'end', { signal }),
    once(request, 'close', { signal }),
    sleep(drainLimit.ms, undefined, { signal, ref: false }),
  ]).catch(() => undefined);
  done.abort();
  request.off('data', count);
  if (!request.complete) request.pause();
}
