import type { Server as PlainServer, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { type CertificateFiles, readCertificate } from './certificate.ts';
import { type CertificateWatch, tlsVersions, watchCertificate } from './certificate-watch.ts';
import { GreetingError } from './greeting.ts';
import type { ListenAddress, NetworkListener } from './listener.ts';
import { type StreamKind, StreamListener, type StreamListenerOptions } from './stream.ts';
import { createTcpServer, listen } from './tcp.ts';

/** What a TLS listener needs besides. Times in ms, each with a default. */
export interface TlsListenerOptions extends StreamListenerOptions {
  readonly listen: ListenAddress;
  readonly files: CertificateFiles;
  /** How long a handshake may take. 10 seconds. */
  readonly handshakeTimeout?: number;
  /** How often it is looked whether the files have changed. As a CertificateWatch has it. */
  readonly lookEvery?: number;
}

/** A listener whose certificate may change. */
export interface TlsListener extends NetworkListener, Pick<CertificateWatch, 'reload'> {}

/**
 * Syslog over TLS (RFC 5425), framed as over TCP.
 * @throws {CertificateError} the certificate cannot be used, or the system's error where it cannot listen there.
 */
export function openTlsListener(options: TlsListenerOptions): Promise<TlsListener> {
  return openSecureListener(createTcpServer(), options, { name: 'syslog-tls' });
}

/**
 * Listens for connections that are secured before anything else of their kind.
 * @throws {CertificateError} the certificate cannot be used, or the system's error where it cannot listen there.
 */
export async function openSecureListener(
  server: PlainServer,
  options: TlsListenerOptions,
  kind: StreamKind,
): Promise<TlsListener> {
  const { files, log, handshakeTimeout = 10_000, lookEvery } = options;
  const certificate = await readCertificate(files);
  const isAsked = files.clientCa !== undefined;
  const handshakes = createServer({
    ...certificate,
    // Of one direction the end is that of both only if the server has it so.
    allowHalfOpen: true,
    requestCert: isAsked,
    rejectUnauthorized: isAsked,
    handshakeTimeout,
    ...tlsVersions,
  });
  const secure = securer(handshakes, isAsked);
  const { name, secure: greet } = kind;
  const listener = new StreamListener(server, options, {
    ...kind,
    secure: async (socket) => {
      const secured = await secure(socket);
      return greet === undefined ? secured : greet(secured);
    },
    // Should Node not say that a handshake takes too long.
    secureTimeout: handshakeTimeout + 1000,
  });
  const address = await listen(server, options.listen);

  const watch = watchCertificate({
    server: handshakes,
    files,
    first: certificate,
    log,
    listener: name,
    lookEvery,
  });
  const drain = (grace: number): Promise<void> => {
    watch[Symbol.dispose]();
    return listener.drain(grace);
  };
  return {
    address,
    get counters() {
      return listener.counters;
    },
    reload: () => watch.reload(),
    drain,
    [Symbol.asyncDispose]: () => drain(0),
  };
}

/** Secures sockets by a server that does not listen itself: what a proxy says comes before the handshake. */
function securer(handshakes: Server, isAsked: boolean): (socket: Socket) => Promise<Socket> {
  const waiting = new Map<string, PromiseWithResolvers<TLSSocket>>();
  // The port of a connection is its own as long as it is there.
  const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
  handshakes.on('secureConnection', (socket) => {
    const found = waiting.get(keyOf(socket));
    // A peer that is gone by now has no address any more.
    if (found === undefined) socket.destroy();
    else found.resolve(socket);
  });
  handshakes.on('tlsClientError', (error, socket) => {
    waiting.get(keyOf(socket))?.reject(new GreetingError(reasonOf(error), { cause: error }));
    socket.destroy();
  });
  // Node does not say for which one it did not accept the certificate.
  const ended = `it ended in its TLS handshake${isAsked ? ', or client_ca did not sign its certificate' : ''}`;
  return async (socket) => {
    const key = keyOf(socket);
    const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
    waiting.set(key, { promise, resolve, reject });
    const gone = (): void => reject(new GreetingError(ended));
    socket.once('close', gone);
    try {
      if (socket.destroyed) gone();
      else handshakes.emit('connection', socket);
      return await promise;
    } finally {
      socket.off('close', gone);
      waiting.delete(key);
    }
  };
}

/** What OpenSSL says has places in its source and in memory, which differ each time. */
function reasonOf(error: Error): string {
  const reason = 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message;
  return `its TLS handshake failed: ${reason}`;
}
