import type { SecureContextOptions, Server } from 'node:tls';
import type { Log } from '../log.ts';
import { type Certificate, type CertificateFiles, isSame, readCertificate } from './certificate.ts';

/** What every server here asks of a connection: TLS 1.0 and 1.1 are deprecated (RFC 8996). */
export const tlsVersions = { minVersion: 'TLSv1.2' } as const satisfies SecureContextOptions;

/** A server whose certificate may change. */
export interface CertificateWatchOptions {
  readonly server: Pick<Server, 'setSecureContext'>;
  readonly files: CertificateFiles;
  /** What the server was started with. */
  readonly first: Certificate;
  readonly log: Log;
  /** What the log calls the server, such as `http`. */
  readonly listener: string;
  /** How often it is looked whether the files have changed, in ms. 30 seconds. */
  readonly lookEvery?: number | undefined;
}

/** Disposing ends it. */
export interface CertificateWatch extends Disposable {
  /** Reads the certificate again; connections go on. Where it cannot be used the old one stays, and the log says so. */
  reload(): Promise<void>;
}

/** Has a server use what its files hold, also once they have changed. */
export function watchCertificate(options: CertificateWatchOptions): CertificateWatch {
  const { server, files, first, log, listener, lookEvery = 30_000 } = options;
  let current = first;
  let complaint = '';
  const reload = async (): Promise<void> => {
    try {
      const certificate = await readCertificate(files);
      complaint = '';
      if (isSame(certificate, current)) return;
      server.setSecureContext({ ...certificate, ...tlsVersions });
      current = certificate;
      log.info({ listener, file: files.cert }, 'a new certificate is in use');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== complaint) {
        log.error({ listener, reason }, 'the certificate cannot be read again; the old one stays');
      }
      complaint = reason;
    }
  };
  const timer = setInterval(() => void reload(), lookEvery).unref();
  return { reload, [Symbol.dispose]: () => clearInterval(timer) };
}
