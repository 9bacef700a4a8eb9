import { createHash } from 'node:crypto';
import { type Digest, splitDigest } from '../../storage/digest.ts';
import { ImageError } from './errors.ts';

/**
 * Passes content on, and checks it on the way: that it ends without a failure says that it is right.
 * @throws {ImageError} where it is not what the digest and the size (in bytes) say, or breaks off
 */
export async function* verified(
  body: AsyncIterable<Uint8Array>,
  { digest, size }: { digest: Digest; size: number },
): AsyncGenerator<Uint8Array, void, void> {
  const { algorithm, hex } = splitDigest(digest);
  const hash = createHash(algorithm);
  let length = 0;
  try {
    for await (const chunk of body) {
      length += chunk.length;
      if (length > size) break;
      hash.update(chunk);
      yield chunk;
    }
  } catch (cause) {
    const { cause: deeper = cause } = cause instanceof Error ? cause : {};
    throw new ImageError(`${digest} broke off after ${length} bytes: ${String(deeper)}`, { cause });
  }
  if (length > size) throw new ImageError(`${digest} has more than the ${size} bytes that it should have`);
  if (length < size) throw new ImageError(`${digest} has ${length} bytes, and should have ${size}`);
  if (hash.digest('hex') !== hex) throw new ImageError(`${digest} is damaged: its content is another`);
}
