import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';

/** An HTTP server that answers as a test wants it. */
export interface ScriptedServer extends AsyncDisposable {
  readonly url: string;
}

/** Starts one on a port of its own. */
export async function startScripted(listener: RequestListener): Promise<ScriptedServer> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
