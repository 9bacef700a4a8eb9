import type { ServerOptions } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import { type CertificateFiles, readCertificate } from '../../ingest/listeners/certificate.ts';
import { type CertificateWatch, tlsVersions, watchCertificate } from '../../ingest/listeners/certificate-watch.ts';
import type { Log } from '../../ingest/log.ts';

/** A certificate and its key, as PEM files. */
export type TlsFiles = Readonly<Required<Pick<CertificateFiles, 'cert' | 'key'>>>;

/** The files of `http.tls`; undefined: HTTP is served without TLS. */
export function tlsFilesOf({
  cert,
  key,
}: {
  cert?: string | undefined;
  key?: string | undefined;
}): TlsFiles | undefined {
  return cert === undefined || key === undefined ? undefined : { cert, key };
}

/** A server of HTTPS that does not listen yet. Disposing ends what it does beside listening. */
export interface TlsServer extends Pick<CertificateWatch, 'reload'>, Disposable {
  readonly server: Server;
}

/** What HTTP asks, and how long a handshake may take, in ms. */
export interface TlsServerOptions extends ServerOptions {
  readonly handshakeTimeout: number;
}

/** Makes one. @throws {CertificateError} the certificate cannot be used */
export async function createTlsServer(files: TlsFiles, log: Log, options: TlsServerOptions): Promise<TlsServer> {
  const first = await readCertificate(files);
  const server = createServer({ ...options, ...first, ...tlsVersions });
  const watch = watchCertificate({ server, files, first, log, listener: 'http' });
  const greeting = watchHandshakes(server);
  return {
    server,
    reload: () => watch.reload(),
    [Symbol.dispose]() {
      watch[Symbol.dispose]();
      for (const socket of greeting.values()) socket.destroy();
    },
  };
}

/** The connections that are amid their handshake: of these HTTP does not know yet. */
function watchHandshakes(server: Server): Map<string, Socket> {
  const greeting = new Map<string, Socket>();
  // Once secured, a connection is another object, of the same address and port.
  const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
  server.on('connection', (socket: Socket) => {
    const key = keyOf(socket);
    greeting.set(key, socket);
    socket.once('close', () => {
      if (greeting.get(key) === socket) greeting.delete(key);
    });
  });
  server.on('secureConnection', (socket: Socket) => greeting.delete(keyOf(socket)));
  return greeting;
}
