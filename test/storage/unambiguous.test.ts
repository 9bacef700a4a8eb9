import { describe, expect, test } from 'vitest';
import { parseManifest } from '../../storage/manifest.ts';
import { checkUnambiguous } from '../../storage/unambiguous.ts';
import { odd } from '../support/odd-manifests.ts';

const { plain, refused } = odd({ mediaType: 'a/b', digest: `sha256:${'1'.repeat(64)}`, size: 3 });

describe('what every reader understands alike is taken', () => {
  test.each(Object.entries(plain))('%s', (_, text) => {
    checkUnambiguous(Buffer.from(text));
  });
});

describe('what is a manifest to this reader, and another or none to others, is refused', () => {
  test.each(Object.entries(refused))('%s', (_, text) => {
    expect(parseManifest(Buffer.from(text)).blobs).toEqual([`sha256:${'1'.repeat(64)}`]);
    expect(() => checkUnambiguous(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'MANIFEST_INVALID' }));
  });
});
