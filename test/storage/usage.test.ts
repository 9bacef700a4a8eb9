import { expect, test } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { layerLink } from '../../storage/layout.ts';
import { parseDigest } from '../../storage/digest.ts';
import { parseName } from '../../storage/names.ts';
import { openStore, type Store } from '../../storage/store.ts';
import { measureUsage, type Usage } from '../../storage/usage.ts';
import { FaultyFileSystem } from '../support/faulty-fs.ts';
import { blob, image, pushBlob, pushImage, sha512, type TestImage } from '../support/images.ts';

async function open(): Promise<{
  store: Store;
  usage: () => Promise<Usage>;
  link: (name: string, digest: string, content: string) => Promise<void>;
}> {
  const driver = await openDisk({ root: '/registry', fileSystem: new FaultyFileSystem({ seed: 1 }) });
  return {
    store: await openStore({ driver, indexMaxAge: 60_000 }),
    usage: () => measureUsage(driver),
    link: (name, digest, content) => driver.put(layerLink(parseName(name), parseDigest(digest)), Buffer.from(content)),
  };
}

function sizeOf({ manifest, config, layers }: TestImage): number {
  return [manifest, config, ...layers].reduce((sum, { bytes }) => sum + bytes.length, 0);
}

test('an empty store takes nothing', async () => {
  const { usage } = await open();
  expect(await usage()).toEqual({ repositories: [], blobs: 0, unreferenced: 0, uploads: 0, other: 0 });
});

test('what one repository has alone is its own; what several have is shared by each, and counted once in the sum', async () => {
  const { store, usage } = await open();
  const [one, other] = [image({ seed: 1 }), image({ seed: 2 })];
  for (const name of ['a', 'a/b', 'a/0']) await pushImage(store, name, one, '1');
  for (const name of ['a', 'z']) await pushImage(store, name, { ...other, layers: other.layers }, '2');
  const alone = image({ seed: 3 });
  await pushImage(store, 'a/b', alone, '3');
  const [first, second, third] = [sizeOf(one), sizeOf(other), sizeOf(alone)];
  expect(await usage()).toMatchObject({
    repositories: [
      { name: 'a', own: 0, shared: first + second },
      { name: 'a/0', own: 0, shared: first },
      { name: 'a/b', own: third, shared: first },
      { name: 'z', own: 0, shared: second },
    ],
    blobs: first + second + third,
    unreferenced: 0,
  });
});

test('a blob that a repository has as layer and as manifest counts once', async () => {
  const { store, usage } = await open();
  const one = image();
  await pushImage(store, 'a', one, '1');
  await pushBlob(store, 'a', one.manifest);
  expect((await usage()).repositories).toEqual([{ name: 'a', own: sizeOf(one), shared: 0 }]);
});

test('what no repository has any longer is unreferenced; unfinished uploads are apart', async () => {
  const { store, usage } = await open();
  const layer = blob('x', 'y'.repeat(500));
  await pushBlob(store, 'a', layer);
  const before = await usage();
  expect(before).toMatchObject({ repositories: [{ name: 'a', own: 500 }], blobs: 500, unreferenced: 0 });
  await store.blobs.delete('a', layer.digest);
  expect(await usage()).toMatchObject({ repositories: [], blobs: 500, unreferenced: 500 });
  const { id } = await store.uploads.create('a');
  const empty = await usage();
  await store.uploads.append(
    'a',
    id,
    (async function* () {
      yield Buffer.alloc(1000);
    })(),
  );
  const after = await usage();
  expect(after.blobs).toBe(500);
  expect(after.uploads - empty.uploads).toBeGreaterThanOrEqual(1000);
  expect(after.other).toBe(empty.other);
});

test('an alias counts as what it leads to, and a link that leads nowhere as nothing', async () => {
  const { store, usage, link } = await open();
  const layer = blob('x', 'content');
  await pushBlob(store, 'a', layer);
  await link('b', sha512(layer.bytes), layer.digest);
  await link('b', layer.digest, layer.digest);
  await link('alias', sha512(layer.bytes), layer.digest);
  await link('c', sha512(layer.bytes), '');
  await link('c', sha512(Buffer.from('else')), sha512(Buffer.from('else')));
  expect(await usage()).toMatchObject({
    repositories: [
      { name: 'a', own: 0, shared: 7 },
      { name: 'alias', own: 0, shared: 7 },
      { name: 'b', own: 0, shared: 7 },
    ],
    blobs: 7,
  });
});
