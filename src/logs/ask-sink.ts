import type { ServerResponse } from 'node:http';
import { SinkError } from '../../ingest/sinks/sink.ts';
import { HttpError } from '../http/errors.ts';

/** Aborted when the client has gone, which it may have while it was found out who it is. */
export function untilGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  response.once('close', () => gone.abort());
  return gone.signal;
}

/** What a sink answers. @throws {HttpError} 503 when it is away */
export async function askSink<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    if (!(cause instanceof SinkError)) throw cause;
    throw new HttpError(503, 'UNAVAILABLE', `the log store does not answer: ${cause.message}`, {
      headers: { 'Retry-After': '5' },
      cause,
    });
  }
}
