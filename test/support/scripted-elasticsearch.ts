import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import { gunzipSync } from 'node:zlib';

/** A request that the server got. */
export interface SeenRequest {
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** An answer: a status and JSON, or text of another type; or what happens to the connection instead. */
export type Answer =
  | { readonly status: number; readonly json: unknown }
  | { readonly status: number; readonly text: string; readonly type: string }
  | 'cut'
  | 'hang';

/** Answers a request, or leaves it to what a healthy server would say. */
export type Script = (request: SeenRequest) => Answer | undefined;

/** Plays an Elasticsearch: healthy and storing everything, but for what the script says. */
export class ScriptedElasticsearch implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  readonly #server: Server;
  readonly #scheme: 'http' | 'https';
  #script: Script = () => undefined;

  constructor(tls?: ServerOptions) {
    const listener = (request: IncomingMessage, response: ServerResponse): void => void this.#serve(request, response);
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
    this.#scheme = tls === undefined ? 'http' : 'https';
  }

  /** With a certificate and its key it speaks TLS. */
  static async start(tls?: ServerOptions): Promise<ScriptedElasticsearch> {
    const scripted = new ScriptedElasticsearch(tls);
    scripted.#server.listen(0, '127.0.0.1');
    await once(scripted.#server, 'listening');
    return scripted;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the server does not listen');
    return `${this.#scheme}://127.0.0.1:${address.port}`;
  }

  /** From now on. */
  answer(script: Script): void {
    this.#script = script;
  }

  /** Only this path (without the query) gets an answer of its own. */
  answerTo(path: RegExp, answer: Answer): void {
    this.answer(({ url }) => (path.test(url.split('?')[0] ?? '') ? answer : undefined));
  }

  /** Requests to a path since the start. */
  to(path: RegExp): SeenRequest[] {
    return this.seen.filter(({ url }) => path.test(url));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const { method = '', url = '', headers } = request;
    const sent = Buffer.concat(chunks);
    const body = (headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent).toString();
    const seen = { method, url, headers, body };
    this.seen.push(seen);
    const answer = this.#script(seen) ?? healthy(seen);
    if (answer === 'hang') return;
    if (answer === 'cut') {
      request.socket.destroy();
      return;
    }
    if ('text' in answer) response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.text);
    else response.writeHead(answer.status, elastic).end(JSON.stringify(answer.json));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const elastic = {
  'content-type': 'application/vnd.elasticsearch+json;compatible-with=9',
  'x-elastic-product': 'Elasticsearch',
};

/** What Elasticsearch says in an error. */
export function failure(status: number, type: string, reason: string): { status: number; json: unknown } {
  return { status, json: { error: { type, reason, root_cause: [{ type, reason }] }, status } };
}

/** Ids of a bulk, in order. */
export function bulkIds({ body }: SeenRequest): string[] {
  const actions = body.split('\n').filter((_, index) => index % 2 === 0);
  return actions.filter(Boolean).map((line) => String(JSON.parse(line).create._id));
}

function healthy(request: SeenRequest): Answer {
  const path = request.url.split('?')[0] ?? '';
  if (path === '/') return { status: 200, json: { version: { number: '9.4.3' }, tagline: 'You Know, for Search' } };
  if (path.endsWith('/_bulk')) {
    const items = bulkIds(request).map(() => ({ create: { _index: '.ds-logs', status: 201 } }));
    return { status: 200, json: { errors: false, items } };
  }
  if (path.endsWith('/_search')) return { status: 200, json: { hits: { hits: [] } } };
  return { status: 200, json: { acknowledged: true } };
}
