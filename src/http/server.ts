import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { startToListen } from '../../ingest/listeners/tcp.ts';
import type { Log } from '../../ingest/log.ts';
import type { ListenAddress } from '../config.ts';
import { createTlsServer, type TlsFiles } from './tls.ts';

/** How an HTTP server listens and ends. Times in ms. */
export interface HttpServerOptions {
  readonly listen: ListenAddress;
  /** How long a client may be silent while it owes bytes, or does not take any. */
  readonly idleTimeout: number;
  /** How long requests may go on after the server was told to end. */
  readonly shutdownGrace: number;
  /** With it HTTPS is spoken, and nothing else. */
  readonly tls?: TlsFiles | undefined;
  /** How long a handshake of TLS may take. 10 seconds. */
  readonly handshakeTimeout?: number;
  /** Whether other processes accept from the same socket. */
  readonly shared?: boolean;
  /** Where a new certificate is told. */
  readonly log: Log;
}

/** A listening HTTP server; disposing it is a graceful end. */
export interface HttpServer extends AsyncDisposable {
  /** Where it listens, with the real port. */
  readonly address: ListenAddress;
  /** Looks at once whether the certificate was replaced, which it does by itself too. */
  reload(): Promise<void>;
}

/** A request, and the answer that is made or waits for its turn. */
interface Pending {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Idle connections live longer than those that a proxy keeps (60 s for nginx), so that it is the proxy who closes. */
const keepAliveTimeout = 75_000;
const headersTimeout = 60_000;
const maxHeaderSize = 32 * 1024;
const maxConnections = 8192;
/**
 * How long connections without a request are kept when the server ends, in ms: one may be on its way, and a client that
 * used such a connection as it was closed could not know whether its request had been heard.
 */
const lastRequest = 1000;
/** Requests that a client may send before it has the answer to the first of them. */
const maxPipelined = 32;

/**
 * Starts to listen.
 * @throws {CertificateError} the certificate cannot be used, or the system's error, such as EADDRINUSE
 */
export async function listenHttp(handler: RequestListener, options: HttpServerOptions): Promise<HttpServer> {
  const limits = { requestTimeout: 0, headersTimeout, keepAliveTimeout, maxHeaderSize };
  using stack = new DisposableStack();
  const { tls, log, handshakeTimeout = 10_000, shared = false } = options;
  const secure =
    tls === undefined ? undefined : stack.use(await createTlsServer(tls, log, { ...limits, handshakeTimeout }));
  const server: Server = secure?.server ?? createServer(limits);
  const sockets = new Set<Socket>();
  const requests = new Map<Socket, Pending[]>();
  let ending = false;

  server.maxConnections = maxConnections;
  server.timeout = options.idleTimeout;
  server.on('timeout', (socket) => {
    const [current] = requests.get(socket) ?? [];
    if (current !== undefined && isOurTurn(current.request, socket)) socket.setTimeout(options.idleTimeout);
    else socket.destroy();
  });
  if (shared)
    server.on(
      'connection',
      giveWay(() => sockets.size),
    );
  server.on(secure === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      // The answers that waited for their turn are told of nothing.
      requests.delete(socket);
    });
  });
  server.on('request', (request, response) => {
    const { socket } = request;
    const pending = requests.get(socket) ?? [];
    requests.set(socket, pending);
    pending.push({ request, response });
    if (pending.length > maxPipelined) return socket.destroy();
    if (ending) response.setHeader('Connection', 'close');
    response.once('close', () => {
      pending.shift();
      const [next] = pending;
      if (next !== undefined && socket.writable) return handler(next.request, next.response);
      requests.delete(socket);
      if (ending) socket.destroySoon();
    });
    // Node would have all requests of a connection answered at once, and keep the answers until their turn.
    if (pending.length === 1) handler(request, response);
  });

  await startToListen(server, options.listen);
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('an HTTP server listens on no port');

  const parts = stack.move();
  return {
    address: { host: options.listen.host, port: bound.port },
    reload: async () => secure?.reload(),
    async [Symbol.asyncDispose]() {
      if (ending) return;
      ending = true;
      for (const socket of sockets) {
        const response = requests.get(socket)?.at(-1)?.response;
        if (response?.headersSent === false) response.setHeader('Connection', 'close');
      }
      const timer = setTimeout(
        () => {
          parts[Symbol.dispose]();
          for (const socket of sockets) if (!requests.has(socket)) socket.destroy();
        },
        Math.min(lastRequest, options.shutdownGrace),
      );
      await end(server, options.shutdownGrace);
      clearTimeout(timer);
      parts[Symbol.dispose]();
    },
  };
}

/** After so many ms without a connection the next ones are of clients that come at once; for how many others get theirs. */
const [quiet, pause] = [100, 0.02] as const;

/**
 * Of connections that come at once the worker that woke first would take nearly all, and the others would be idle for as
 * long as these last. So it pauses after each by which it has more of them, and others, which were woken as well, take the
 * next. Where they come and go all the time it does not pause.
 * @param open How many connections this worker has.
 */
function giveWay(open: () => number): () => void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let [last, most] = [-Infinity, 0];
  return () => {
    const [now, count] = [performance.now(), open() + 1];
    if (now - last > quiet) most = count;
    else if (count > most) {
      most = count;
      Atomics.wait(cell, 0, 0, pause);
    }
    last = now;
  };
}

/** Whether it is not the client that is waited for: its bytes are here, and it took all that was sent. */
function isOurTurn(request: IncomingMessage, socket: Socket): boolean {
  return (request.complete || request.readableLength > 0) && socket.writableLength === 0;
}

async function end(server: Server, grace: number): Promise<void> {
  const closed = once(server, 'close');
  // That of HTTP closes connections without a request at once.
  NetServer.prototype.close.call(server);
  const timer = setTimeout(() => server.closeAllConnections(), grace);
  try {
    await closed;
  } finally {
    clearTimeout(timer);
  }
}
