import { X509Certificate } from 'node:crypto';
import { type CertificateFiles, readCertificate } from '../../ingest/listeners/certificate.ts';
import type { Config } from '../config.ts';
import { tlsFilesOf } from '../http/tls.ts';
import { type Check, failed, type Finding, ok } from './finding.ts';

/** A certificate that ends sooner, in ms, should have been renewed: ACME clients do that 30 days before. */
const notice = 14 * 86_400_000;

/** The certificates that the server shows, each for whom: whether they can be used, and until when. */
export function certificateChecks({ http, ingest }: Config): Check[] {
  const shown = [
    { name: 'certificate of HTTPS', files: tlsFilesOf(http.tls) },
    { name: 'certificate of syslog', files: filesOfListener(ingest.syslog.tls) },
    { name: 'certificate of forward', files: filesOfListener(ingest.forward.tls) },
  ];
  return shown.flatMap(({ name, files }) =>
    files === undefined ? [] : [{ name, look: () => lookAtCertificate(files) }],
  );
}

function filesOfListener({
  listen,
  client_ca: clientCa,
  ...its
}: Config['ingest']['syslog']['tls']): CertificateFiles | undefined {
  const files = listen === 'off' ? undefined : tlsFilesOf(its);
  return files && { ...files, ...(clientCa !== undefined && { clientCa }) };
}

async function lookAtCertificate(files: CertificateFiles): Promise<Finding> {
  const { cert } = await readCertificate(files);
  const { validFromDate, validToDate } = new X509Certificate(cert);
  const mend = `put a new certificate into ${files.cert}, and its key into ${files.key}; the server takes them by itself`;
  const now = Date.now();
  if (validFromDate.getTime() > now) {
    return failed(
      `${files.cert} is valid only from ${validFromDate.toISOString()} on`,
      `see whether the clock is right`,
    );
  }
  const until = validToDate.toISOString();
  if (validToDate.getTime() <= now) return failed(`${files.cert} was valid until ${until}`, mend);
  if (validToDate.getTime() <= now + notice) return failed(`${files.cert} is valid only until ${until}`, mend);
  return ok(`${files.cert} is valid until ${until}`);
}
