import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3, type StorageClass } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';

/** A bucket, and how it is reached and written to. */
export interface S3Options {
  readonly bucket: string;
  readonly region: string;
  /** Of a server that is not Amazon's. */
  readonly endpoint?: string | undefined;
  /** What all keys start with: registry:2's `rootdirectory`. */
  readonly prefix?: string | undefined;
  /** Whether the bucket's name stands in the path, not in the host's name. */
  readonly forcePathStyle?: boolean;
  /** Without them the SDK looks for some: environment, shared files, roles. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
  readonly encryption?: 'AES256' | 'aws:kms' | undefined;
  /** With `aws:kms`: another key than the bucket's own. */
  readonly kmsKeyId?: string | undefined;
  /** Of blobs that were uploaded. Links and what is unfinished are small or gone soon, which other classes cost more. */
  readonly storageClass?: StorageClass | undefined;
  /** Whether clients may be sent to S3, by URLs that are signed. */
  readonly redirect?: boolean;
  /** Certificates in PEM that sign the server's own, if the system does not know them. */
  readonly ca?: string | undefined;
}

/** How often a request is sent, where it fails. */
export const attempts = 3;
/** In ms. */
export const connectionTimeout = 5000;
/** How long S3 may be silent, in ms. */
export const socketTimeout = 60_000;

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** Connections that are kept, without TLS and with it. */
export interface Agents {
  readonly plain: HttpAgent;
  readonly tls: HttpsAgent;
}

/** Connections to S3, of which there are so many at most. */
export function openAgents({ ca }: S3Options, maxSockets: number): Agents {
  const agent = { keepAlive: true, maxSockets };
  return { plain: new HttpAgent(agent), tls: new HttpsAgent({ ...agent, ...(ca !== undefined && { ca }) }) };
}

/** A client that uses connections; destroying it closes them. */
export function openClient(options: S3Options, agents: Agents): S3 {
  const { region, endpoint, forcePathStyle = false, credentials } = options;
  return new S3({
    region,
    forcePathStyle,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials !== undefined && { credentials }),
    maxAttempts: attempts,
    // Each body is small, and held in memory: a wait before it is sent costs more than it saves.
    expectContinueHeader: false,
    requestHandler: new NodeHttpHandler({
      connectionTimeout,
      socketTimeout,
      // It would write to stderr that requests wait for a connection.
      logger: silent,
      httpAgent: agents.plain,
      httpsAgent: agents.tls,
    }),
  });
}
