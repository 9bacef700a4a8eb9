import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a server that can be shut: then connections are cut at once. */
export interface Gate extends AsyncDisposable {
  readonly url: string;
  /** Lets nobody through, and cuts those who are. */
  shut(): void;
  open(): void;
}

/** Opens one before an HTTP server; `at`: where it is reached, else on a port of the loopback. */
export async function openGate(target: string, at = { host: '127.0.0.1', port: 0 }): Promise<Gate> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let isOpen = true;
  const server = createServer((near) => {
    if (!isOpen) return near.resetAndDestroy();
    const far = connect(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }).listen(at.port, at.host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const shut = (): void => {
    isOpen = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://${at.host}:${address.port}`,
    shut,
    open: () => void (isOpen = true),
    async [Symbol.asyncDispose]() {
      shut();
      server.close();
      await once(server, 'close');
    },
  };
}
