import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { openStore, type Store } from '../../storage/store.ts';
import { collect, descriptor, image, index, pushImage } from '../support/images.ts';

/*
 * What distribution leaves in a tree: it makes folders before files, writes `<file>.<uuid>.tmp` before it renames (from
 * release 3 on), and deletes files, or what they are in, without the folders above.
 */

const repositories = 'docker/registry/v2/repositories';
const uuid = '7a0ff3b4-6f3c-4f43-9a51-6ac5b0ac0d5c';

/** A store on a disk, with a way to put things there behind its back. */
async function openTree(): Promise<
  {
    store: Store;
    folder(path: string): Promise<void>;
    file(path: string, content?: string): Promise<void>;
  } & AsyncDisposable
> {
  const root = await mkdtempDisposable(join(tmpdir(), 'storage-foreign-'));
  const store = await openStore({ driver: await openDisk({ root: root.path }), indexMaxAge: 0 });
  return {
    store,
    folder: async (path) => void (await mkdir(join(root.path, path), { recursive: true })),
    async file(path, content = '') {
      await mkdir(dirname(join(root.path, path)), { recursive: true });
      await writeFile(join(root.path, path), content);
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await root.remove();
    },
  };
}

test('a repository of empty folders is none', async () => {
  await using tree = await openTree();
  const { store } = tree;
  for (const path of ['ghost', 'a/ghost/_manifests', 'b/_layers/sha256', 'c/_uploads', '_odd/_manifests/tags/v1']) {
    await tree.folder(`${repositories}/${path}`);
  }
  await tree.file(`${repositories}/README`, 'not a folder');
  await pushImage(store, 'a/b', image(), 'v1');
  expect(await store.catalog.list()).toEqual({ repositories: ['a/b'], more: false });
  for (const name of ['ghost', 'a/ghost', 'b', 'c']) {
    await expect(store.tags.list(name)).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
    // It is no worse for what was there.
    await pushImage(store, name, image(), 'v1');
    expect((await store.tags.list(name)).tags).toEqual(['v1']);
  }
});

test('files that were not renamed yet are neither tags, nor manifests, nor blobs', async () => {
  await using tree = await openTree();
  const { store } = tree;
  const one = image();
  await pushImage(store, 'a', one, 'v1');
  const manifests = `${repositories}/a/_manifests`;
  const hex = 'e'.repeat(64);
  await tree.file(`${manifests}/tags/v0/current/link.${uuid}.tmp`, one.manifest.digest);
  await tree.file(`${manifests}/tags/v0.${uuid}.tmp`, one.manifest.digest);
  await tree.file(`${manifests}/tags/v1/current/link.${uuid}.tmp`, `sha256:${hex}`);
  await tree.file(`${manifests}/revisions/sha256/${hex}/link.${uuid}.tmp`, `sha256:${hex}`);
  await tree.file(`${repositories}/a/_layers/sha256/${hex}/link.${uuid}.tmp`, `sha256:${hex}`);
  await tree.file(`docker/registry/v2/blobs/sha256/ee/${hex}/data.${uuid}.tmp`, 'half');

  expect(await store.tags.list('a')).toEqual({ tags: ['v1'], more: false });
  expect(await store.manifests.get('a', 'v1')).toMatchObject({ digest: one.manifest.digest });
  await expect(store.manifests.get('a', `sha256:${hex}`)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  await expect(store.blobs.stat('a', `sha256:${hex}`)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
  expect(await store.images.describe('a', `sha256:${hex}`)).toBeUndefined();
});

test('a deleted manifest and a deleted blob leave empty folders, and can be pushed again', async () => {
  await using tree = await openTree();
  const { store } = tree;
  const one = image();
  await pushImage(store, 'a', one, 'v1');
  await store.manifests.delete('a', one.manifest.digest);
  await tree.folder(`${repositories}/a/_manifests/revisions/sha256/${one.manifest.digest.slice(7)}`);
  await tree.folder(`${repositories}/a/_manifests/tags/v1/index`);
  await store.blobs.delete('a', one.config.digest);
  await tree.folder(`${repositories}/a/_layers/sha256/${one.config.digest.slice(7)}`);

  expect(await store.tags.list('a')).toEqual({ tags: [], more: false });
  await expect(store.manifests.get('a', one.manifest.digest)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  await expect(store.manifests.delete('a', one.manifest.digest)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  await expect(store.blobs.stat('a', one.config.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
  await expect(store.manifests.put('a', 'v2', one.manifest.bytes)).rejects.toMatchObject({
    code: 'MANIFEST_BLOB_UNKNOWN',
  });
  await pushImage(store, 'a', one, 'v1');
  expect(await store.tags.list('a')).toEqual({ tags: ['v1'], more: false });
});

test('links whose bytes a garbage collector took lead nowhere, and to a push that puts them back', async () => {
  await using tree = await openTree();
  const { store } = tree;
  const subject = image();
  const one = image({ seed: 2, manifest: { subject: descriptor(subject.manifest) } });
  const links = `${repositories}/a`;
  for (const { digest } of [one.config, ...one.layers]) {
    await tree.file(`${links}/_layers/sha256/${digest.slice(7)}/link`, digest);
  }
  const hex = one.manifest.digest.slice(7);
  await tree.file(`${links}/_manifests/revisions/sha256/${hex}/link`, one.manifest.digest);
  await tree.file(`${links}/_manifests/tags/v1/current/link`, one.manifest.digest);
  await tree.file(`${links}/_manifests/tags/v1/index/sha256/${hex}/link`, one.manifest.digest);

  await expect(store.manifests.get('a', 'v1')).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  await expect(store.blobs.open('a', one.config.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
  const mount = { from: 'a', mayRead: () => true };
  expect(await store.blobs.mount('b', one.config.digest, mount)).toBe(false);
  const lists = index([one]);
  for (const bytes of [one.manifest.bytes, lists.bytes]) {
    await expect(store.manifests.put('a', 'v2', bytes)).rejects.toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN' });
  }
  await pushImage(store, 'a', one, 'v2');
  expect(await store.manifests.get('a', 'v1')).toMatchObject({ digest: one.manifest.digest });
  const { body } = await store.blobs.open('a', one.config.digest);
  expect(await collect(body)).toEqual(one.config.bytes);
  expect(await store.referrers.list('a', subject.manifest.digest, { limit: 9 })).toMatchObject({
    referrers: [{ digest: one.manifest.digest }],
  });
});
