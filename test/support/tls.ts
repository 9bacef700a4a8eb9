import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';

const certificates = resolve(import.meta.dirname, 'certificates');

/** The authority that signed the certificates that tests are run with. */
export const caFile = join(certificates, 'ca.pem');

/** By these settings shiplog speaks HTTPS, with a certificate for 127.0.0.1 and localhost. */
export const httpsSettings = {
  SHIPLOG_HTTP_TLS_CERT: join(certificates, 'server.pem'),
  SHIPLOG_HTTP_TLS_KEY: join(certificates, 'server.key'),
} as const;

/** Has this process trust that authority too, in fetch as elsewhere. */
export function trustTestAuthority(): void {
  setDefaultCACertificates([...getCACertificates(), readFileSync(caFile, 'utf8')]);
}
