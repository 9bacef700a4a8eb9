import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { pipeline } from 'node:stream/promises';

/** A request that went by, and the status of its answer. */
export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly status: number | undefined;
  readonly type: string | undefined;
}

/** Stands between clients and a server, changes nothing, and keeps what went by. */
export interface Recorder extends AsyncDisposable {
  /** As it stands in image names. */
  readonly host: string;
  readonly requests: readonly Recorded[];
}

/** Starts one before the server at `HOST:PORT`. */
export async function startRecorder(target: string): Promise<Recorder> {
  const requests: Recorded[] = [];
  const server = createServer((request, response) => {
    const { method = '', url: path = '', headers } = request;
    const onward = httpRequest(`http://${target}${path}`, { method, headers, agent: false }, (answer) => {
      const { statusCode: status, headers: answered } = answer;
      requests.push({ method, path, range: headers.range, status, type: answered['content-type'] });
      response.writeHead(status ?? 502, answered);
      pipeline(answer, response).catch(() => undefined);
    });
    onward.on('error', () => response.destroy());
    pipeline(request, onward).catch(() => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: `127.0.0.1:${address.port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
