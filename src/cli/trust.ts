import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import { CommandError } from './command.ts';

/** Whose certificates are trusted. */
export type Trust = Pick<ConnectionOptions, 'ca' | 'allowPartialTrustChain' | 'checkServerIdentity'>;

/** Trusts what some certificate authorities signed, and nothing else. @throws {CommandError} the file cannot be read */
export async function trustAuthorities(file: string): Promise<Trust> {
  return { ca: await read(file, '--ca') };
}

/**
 * Trusts one certificate: that of the server on this machine, whichever names it is for.
 * @throws {CommandError} the file cannot be read
 */
export async function trustCertificate(file: string): Promise<Trust> {
  const pem = await read(file, 'http.tls.cert');
  const own = new X509Certificate(pem);
  return {
    ca: pem,
    // Those that signed it may be the system's to know.
    allowPartialTrustChain: true,
    checkServerIdentity: (_, { raw }) =>
      raw.equals(own.raw) ? undefined : new Error(`its certificate is not that in ${file}`),
  };
}

async function read(file: string, key: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(`${key} cannot be read: ${reason}`, { cause });
  }
}
