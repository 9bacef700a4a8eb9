import { once } from 'node:events';
import { createServer, type Server, Socket } from 'node:net';
import type { ListenAddress, NetworkListener } from './listener.ts';
import { type StreamKind, StreamListener, type StreamListenerOptions } from './stream.ts';

/** After so many ms of silence the kernel asks whether the peer is still there. */
const keepAlive = 60_000;

/** Where connections are listened for, and with which bounds. */
export type TcpListenerOptions = StreamListenerOptions & { readonly listen: ListenAddress };

/**
 * Syslog over TCP (RFC 6587): octet counting or LF, decided for each connection.
 * @throws the system's error where it cannot listen there.
 */
export function openTcpListener(options: TcpListenerOptions): Promise<NetworkListener> {
  return openListener(createTcpServer(), options, { name: 'syslog-tcp' });
}

/**
 * Whatever comes over TCP and is answered, or not: one that has sent all and says so can still be answered.
 * @throws the system's error where it cannot listen there.
 */
export function openMessageListener(options: TcpListenerOptions, kind: StreamKind): Promise<NetworkListener> {
  return openListener(createTcpServer({ allowHalfOpen: true }), options, kind);
}

async function openListener(server: Server, options: TcpListenerOptions, kind: StreamKind): Promise<NetworkListener> {
  const listener = new StreamListener(server, options, kind);
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

export function createTcpServer(options: { readonly allowHalfOpen?: boolean } = {}): Server {
  return createServer({ ...options, keepAlive: true, keepAliveInitialDelay: keepAlive });
}

/** Listens on a port. @returns the address, with the real port @throws the system's error */
export async function listen(server: Server, place: ListenAddress): Promise<ListenAddress> {
  await startToListen(server, place);
  const { host, port } = place;
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? { host: bound.address, port: bound.port } : { host, port };
}

/** Connections that may wait to be accepted. */
const backlog = 1024;

/** Has a server listen, be it on a socket that is there already. @throws the system's error */
export async function startToListen(server: Server, { host, port, fd }: ListenAddress): Promise<void> {
  if (fd === undefined) server.listen({ host, port, backlog });
  // (`{ fd }` would be a descriptor of the supervisor's, which is closed there when the last worker that has it ends.)
  else server.listen(new Socket({ fd, readable: false, writable: false }), backlog);
  await once(server, 'listening');
}
