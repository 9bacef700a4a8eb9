import { randomBytes, timingSafeEqual } from 'node:crypto';
import { link, open, readFile, unlink } from 'node:fs/promises';
import { hasCode } from '../system-error.ts';

const shape = /^[\da-f]{64}$/;

/** A secret of 256 bits in a file for its owner alone, in hex; made if it is not there. */
export async function openKeyFile(file: string): Promise<string> {
  const temporary = `${file}.${randomBytes(8).toString('hex')}`;
  try {
    await using handle = await open(temporary, 'wx', 0o600);
    await handle.writeFile(randomBytes(32).toString('hex'));
    await handle.sync();
    // By a link, so that of two processes which start at once both get the same key.
    await link(temporary, file).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
  const key = await readFile(file, 'utf8');
  if (!shape.test(key)) throw new Error(`${file} holds no key; remove it, and start again`);
  return key;
}

/** Compares in constant time. */
export function isKey(candidate: string, key: string): boolean {
  return (
    candidate.length === key.length && timingSafeEqual(Buffer.from(candidate, 'latin1'), Buffer.from(key, 'latin1'))
  );
}
