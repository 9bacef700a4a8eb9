import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { text } from 'node:stream/consumers';

/**
 * Sends a body as fast as the server takes it. (fetch does not wait for the server, and so holds in memory what it has
 * not taken yet.)
 */
export async function upload(
  url: URL,
  options: { readonly method: string; readonly headers: Readonly<Record<string, string>> },
  body: AsyncIterable<Uint8Array>,
): Promise<Response> {
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, options);
  // Before an answer it fails the upload; after it, it is the end of what nobody wants.
  request.on('error', () => undefined);
  const over = new AbortController();
  try {
    const answered = once(request, 'response');
    // An answer may come before the end of the body, the rest of which nobody wants then.
    const [answer]: IncomingMessage[] = await Promise.race([
      answered,
      send(request, body, over.signal).then(() => answered),
    ]);
    over.abort();
    const { statusCode: status = 0, statusMessage: statusText = '' } = answer ?? {};
    const content = answer === undefined ? '' : await text(answer);
    return new Response(content === '' ? null : content, { status, statusText });
  } finally {
    over.abort();
    request.destroy();
  }
}

async function send(request: ClientRequest, body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  for await (const chunk of body) {
    if (!request.write(chunk)) await once(request, 'drain', { signal });
  }
  request.end();
}
