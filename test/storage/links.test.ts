import { expect, test } from 'vitest';
import { openMemory } from '../../storage/drivers/memory.ts';
import { readLink } from '../../storage/links.ts';
import { sha256, sha512 } from '../support/images.ts';

/** A driver whose link is read as these, one after the other, and then always as the last. */
function linkThatReads(...contents: readonly [string, ...string[]]): ReturnType<typeof openMemory> {
  const left = [...contents];
  const get = async (): Promise<Uint8Array> => Buffer.from((left.length > 1 ? left.shift() : left[0]) ?? '');
  return Object.assign(openMemory(), { get });
}

test.each([sha256(Buffer.from('a')), sha512(Buffer.from('a'))])(
  'a link that is read while another empties and fills it is read as it will be: %s',
  async (digest) => {
    expect(await readLink(linkThatReads('', digest.slice(0, 40), digest), 'a/link')).toBe(digest);
  },
);

test('a link that stays empty is none', async () => {
  expect(await readLink(linkThatReads(''), 'a/link')).toBeUndefined();
});
