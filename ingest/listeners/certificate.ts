import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';

/** Paths of PEM files. */
export interface CertificateFiles {
  /** The server's certificate, and those between it and its root. */
  readonly cert: string;
  readonly key: string;
  /** Certificates that sign those of clients; with it a client must have one. */
  readonly clientCa?: string;
}

/** What they hold. */
export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
}

/** A file cannot be used; `part` says which. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  readonly part: keyof CertificateFiles;

  constructor(part: keyof CertificateFiles, message: string, options?: ErrorOptions) {
    super(message, options);
    this.part = part;
  }
}

/** Reads a certificate. @throws {CertificateError} a file cannot be read, is no PEM, or the key is another's */
export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  const [cert, key] = [await read('cert', files.cert), await read('key', files.key)];
  const ca = files.clientCa === undefined ? undefined : await read('clientCa', files.clientCa);
  check('cert', files.cert, () => createSecureContext({ cert }));
  check('key', files.key, () => createSecureContext({ cert, key }));
  if (ca !== undefined) check('clientCa', files.clientCa ?? '', () => new X509Certificate(ca));
  return { cert, key, ...(ca !== undefined && { ca }) };
}

async function read(part: keyof CertificateFiles, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new CertificateError(part, `${path} cannot be read: ${textOf(cause)}`, { cause });
  }
}

function check(part: keyof CertificateFiles, path: string, use: () => unknown): void {
  try {
    use();
  } catch (cause) {
    throw new CertificateError(part, `${path} cannot be used: ${textOf(cause)}`, { cause });
  }
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** Whether two certificates are the same, byte for byte. */
export function isSame(one: Certificate, other: Certificate): boolean {
  return one.cert.equals(other.cert) && one.key.equals(other.key) && (one.ca ?? none).equals(other.ca ?? none);
}

const none = Buffer.alloc(0);
