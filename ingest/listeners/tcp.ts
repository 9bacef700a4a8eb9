import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import type { ListenAddress, NetworkListener } from './listener.ts';
import { StreamListener, type StreamListenerOptions } from './stream.ts';

/** After so many ms of silence the kernel asks whether the peer is still there. */
const keepAlive = 60_000;

/**
 * Syslog over TCP (RFC 6587): octet counting or LF, decided for each connection.
 * @throws the system's error where it cannot listen there.
 */
export async function openTcpListener(
  options: StreamListenerOptions & { readonly listen: ListenAddress },
): Promise<NetworkListener> {
  const server = createTcpServer();
  const listener = new StreamListener(server, options, { name: 'syslog-tcp' });
  const address = await listen(server, options.listen);
  return {
    address,
    get counters() {
      return listener.counters;
    },
    drain: (grace) => listener.drain(grace),
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

export function createTcpServer(): Server {
  return createServer({ keepAlive: true, keepAliveInitialDelay: keepAlive });
}

/** Listens on a port. @returns the address, with the real port @throws the system's error */
export async function listen(server: Server, { host, port }: ListenAddress): Promise<ListenAddress> {
  server.listen({ host, port, backlog: 1024 });
  await once(server, 'listening');
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? { host: bound.address, port: bound.port } : { host, port };
}
