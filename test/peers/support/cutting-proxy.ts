import { once } from 'node:events';
import { createServer, request } from 'node:http';

/** A proxy that can lose answers: requests get through, and when they are answered, the client's connection is cut. */
export interface CuttingProxy extends AsyncDisposable {
  readonly url: string;
  cutting: boolean;
}

/** Starts one before an HTTP server. */
export async function startCutting(target: string): Promise<CuttingProxy> {
  const server = createServer((from, to) => {
    const { method, headers, url = '' } = from;
    const onward = request(new URL(url, target), { method, headers }, (answer) => {
      if (proxy.cutting) {
        answer.resume().on('end', () => to.destroy());
        return;
      }
      to.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(to);
    });
    onward.on('error', () => to.destroy());
    from.pipe(onward);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const proxy = {
    url: `http://127.0.0.1:${address.port}`,
    cutting: false,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
