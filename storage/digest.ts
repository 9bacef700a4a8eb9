import { createHash } from 'node:crypto';
import { DigestInvalidError } from './errors.ts';

/** What content may be named by. */
export type Algorithm = 'sha256' | 'sha512';

/** The name of some content: algorithm and lower-case hex (OCI image-spec, descriptor.md, "Digests"). */
export type Digest = `${Algorithm}:${string}`;

/** Whether a text is a digest in canonical form. */
export function isDigest(text: string): text is Digest {
  return /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.test(text);
}

/** @throws {DigestInvalidError} unless the text is a digest in canonical form, by sha256 or sha512. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) throw new DigestInvalidError('expected sha256: and 64 hex digits, or sha512: and 128');
  return text;
}

/** @throws {DigestInvalidError} unless the text names an algorithm that content is named by here. */
export function parseAlgorithm(text: string): Algorithm {
  if (text !== 'sha256' && text !== 'sha512') throw new DigestInvalidError('expected the algorithm sha256 or sha512');
  return text;
}

/** The two parts of a digest. */
export function splitDigest(digest: Digest): { algorithm: Algorithm; hex: string } {
  const algorithm = digest.startsWith('sha256') ? 'sha256' : 'sha512';
  return { algorithm, hex: digest.slice(algorithm.length + 1) };
}

/** The digest of some bytes. */
export function digestOf(bytes: Uint8Array, algorithm: Algorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}
