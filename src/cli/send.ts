import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { Readable } from 'node:stream';
import type { Trust } from './trust.ts';

/** What is sent, and whom it is for. */
export interface SendOptions {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Whose certificate is trusted; undefined: whom Node trusts. */
  readonly trust?: Trust | undefined;
}

/**
 * Sends a request, its body as fast as the server takes it, and follows no redirect. (fetch does not wait for the
 * server, and so holds in memory what it has not taken yet; and it trusts the same certificates everywhere.)
 */
export async function send(url: URL, { method, headers, body, trust }: SendOptions): Promise<Response> {
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, { method, headers, ...trust });
  // Before an answer it fails the request; after it, it is the end of what nobody wants.
  request.on('error', () => undefined);
  const over = new AbortController();
  try {
    const answered = once(request, 'response');
    // An answer may come before the end of the body, the rest of which nobody wants then.
    const [answer]: IncomingMessage[] = await Promise.race([
      answered,
      write(request, body, over.signal).then(() => answered),
    ]);
    if (answer === undefined) throw new Error('it does not answer');
    return toResponse(answer, method);
  } catch (error) {
    request.destroy();
    throw error;
  } finally {
    over.abort();
  }
}

async function write(request: ClientRequest, body: SendOptions['body'], signal: AbortSignal): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    request.end(body);
    return;
  }
  for await (const chunk of body) {
    if (!request.write(chunk)) await once(request, 'drain', { signal });
  }
  request.end();
}

function toResponse(answer: IncomingMessage, method: string): Response {
  const { statusCode: status = 0, statusMessage: statusText = '' } = answer;
  const headers = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  );
  // Of these the connection is free at once, for the next request. (Fetch standard: a null body status has no body.)
  const isEmpty = method === 'HEAD' || [204, 205, 304].includes(status) || answer.headers['content-length'] === '0';
  if (isEmpty) answer.resume();
  return new Response(isEmpty ? null : Readable.toWeb(answer), { status, statusText, headers });
}
