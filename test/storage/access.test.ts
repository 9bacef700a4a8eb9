import { expect, test } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { FolderAccessError } from '../../storage/drivers/disk-access.ts';
import { fault, FaultyFileSystem } from '../support/faulty-fs.ts';
import { image, pushImage } from '../support/images.ts';
import { root, storeOn } from './power-cut.ts';

/** A tree with an image in it. */
async function tree(): Promise<FaultyFileSystem> {
  const files = new FaultyFileSystem();
  await using store = await storeOn(files);
  await pushImage(store, 'team/web', image({ seed: 1 }), 'v1');
  return files;
}

const { digest } = image({ seed: 1 }).config;
const top = `${root}/docker/registry/v2`;

test.each([
  root,
  top,
  `${top}/blobs`,
  `${top}/repositories`,
  `${top}/_shiplog`,
  `${top}/repositories/team/web/_manifests/tags/v1/current`,
  `${top}/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`,
])('a tree in which another user owns %s is found when it is opened, before anything is written', async (path) => {
  const fileSystem = await tree();
  const before = fileSystem.files();
  fileSystem.before((call) =>
    call.op === 'access' && call.path === path ? fault('EACCES', 'access', path) : undefined,
  );
  const opening = openDisk({ root, fileSystem });
  await expect(opening).rejects.toThrow(FolderAccessError);
  await expect(opening).rejects.toMatchObject({ path });
  expect(fileSystem.files()).toEqual(before);
});

test('a failure to look is told as such', async () => {
  const fileSystem = await tree();
  fileSystem.before(({ op, path }) => (op === 'access' ? fault('EIO', op, path) : undefined));
  const opening = openDisk({ root, fileSystem });
  await expect(opening).rejects.toMatchObject({ cause: { code: 'EIO' } });
  await expect(opening).rejects.not.toThrow(FolderAccessError);
});

test('of a large tree a sample is looked at', async () => {
  const fileSystem = new FaultyFileSystem();
  for (let number = 0; number < 2000; number += 1) {
    const hex = number.toString(16).padStart(64, '0');
    await fileSystem.mkdir(`${top}/blobs/sha256/${hex.slice(-2)}/${hex}`, { recursive: true });
  }
  let looked = 0;
  fileSystem.before(({ op }) => {
    if (op === 'access') looked += 1;
  });
  await openDisk({ root, fileSystem });
  expect(looked).toBeLessThanOrEqual(300);
});
