import { once } from 'node:events';
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { Client } from '@elastic/elasticsearch';
import { AnswerReader } from './elasticsearch-answers.ts';
import { SinkError } from './sink.ts';

/** How Elasticsearch is reached. */
export interface ConnectionOptions {
  readonly nodes: readonly string[];
  /** Who we are; absent where security is off. */
  readonly auth?: { readonly apiKey: string } | { readonly username: string; readonly password: string };
  /** Certificate authorities to trust instead of the system's, as PEM. */
  readonly ca?: string;
  /** SHA-256, in upper-case hex with colons, of the certificate of the one authority to trust. */
  readonly caFingerprint?: string;
  /** Whether requests are compressed. */
  readonly compression?: boolean;
}

/** After so many ms without an answer a request counts as lost; a bulk is sent again, and 409 tells what was stored. */
const requestTimeout = 60_000;
/** Bounds the look at a node's certificates, in ms. */
const handshakeTimeout = 10_000;

/**
 * Makes a client. Where the authority is known by its fingerprint, a node is asked for its certificate first.
 * @throws {SinkError} no node answers, or none shows that certificate
 */
export async function makeClient(options: ConnectionOptions): Promise<Client> {
  const { nodes, auth, caFingerprint, compression = false } = options;
  const ca = caFingerprint === undefined ? options.ca : await findAuthority(nodes, caFingerprint);
  return new Client({
    nodes: [...nodes],
    ...(auth === undefined ? {} : { auth }),
    ...(ca === undefined ? {} : { tls: { ca } }),
    compression,
    Serializer: AnswerReader,
    // The shipper tries again, by outcome.
    maxRetries: 0,
    requestTimeout,
  });
}

/**
 * The certificate with a fingerprint, of those that nodes show. The client's own `caFingerprint` needs TLS without
 * verification, and then only looks whether the certificate is among those shown; so it serves as the authority here,
 * and all else is verified.
 */
async function findAuthority(nodes: readonly string[], fingerprint: string): Promise<string> {
  let failure: unknown;
  for (const node of nodes) {
    try {
      const chain = await showCertificates(new URL(node));
      const found = chain.find(({ fingerprint256 }) => fingerprint256 === fingerprint);
      if (found !== undefined) return new X509Certificate(found.raw).toString();
      const shown = chain.map(({ fingerprint256 }) => fingerprint256).join(', ');
      const message = `no certificate that ${node} shows has the fingerprint of logs.elasticsearch.ca_fingerprint; it shows ${shown}`;
      failure = new SinkError('refused', message);
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure instanceof SinkError) throw failure;
  const reason = failure instanceof Error ? failure.message : String(failure);
  throw new SinkError('unavailable', `Elasticsearch is away: ${reason}`, { cause: failure });
}

/** The certificates that a server shows, its own first. Nothing is sent to it. */
async function showCertificates({ hostname, port }: URL): Promise<DetailedPeerCertificate[]> {
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect({
    host,
    port: Number(port === '' ? 443 : port),
    ...(isIP(host) === 0 && { servername: host }),
    rejectUnauthorized: false,
  });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(handshakeTimeout) });
    const chain: DetailedPeerCertificate[] = [];
    let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
    while (next !== undefined && !chain.includes(next)) {
      chain.push(next);
      next = next.issuerCertificate;
    }
    return chain;
  } finally {
    socket.destroy();
  }
}
