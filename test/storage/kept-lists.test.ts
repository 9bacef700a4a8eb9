import { mkdir, mkdtempDisposable, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { nodeFileSystem } from '../../storage/drivers/node-file-system.ts';
import { openStore, type Store } from '../../storage/store.ts';
import { image, pushImage } from '../support/images.ts';

/** A store whose folders were all changed long ago, and what it has read of them. */
async function settled(): Promise<{ store: Store; repositories: string; read: string[] } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const { path: root } = stack.use(await mkdtempDisposable(join(tmpdir(), 'shiplog-kept-')));
  const read: string[] = [];
  const fileSystem = {
    ...nodeFileSystem,
    readdir: (path: string, options: { withFileTypes: true }) => {
      read.push(path);
      return nodeFileSystem.readdir(path, options);
    },
    open: (path: string, flags: string) => {
      read.push(path);
      return nodeFileSystem.open(path, flags);
    },
  };
  const driver = await openDisk({ root, fileSystem });
  const store = stack.use(await openStore({ driver, indexMaxAge: 60_000 }));
  const repositories = join(root, 'docker/registry/v2/repositories');
  for (const [name, tag] of [
    ['a', 'v1'],
    ['a', 'v2'],
    ['a/b', 'v1'],
    ['c', 'v1'],
  ] as const) {
    await pushImage(store, name, image(), tag);
  }
  for (const folder of ['', 'a', 'a/b', 'c', 'a/_manifests/tags']) await age(join(repositories, folder));
  const parts = stack.move();
  return { store, repositories, read, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

async function age(folder: string): Promise<void> {
  const past = new Date(Date.now() - 60_000);
  await utimes(folder, past, past);
}

test('tags of a folder that has not changed are listed without reading them again', async () => {
  await using place = await settled();
  const { store, read } = place;
  expect(await store.tags.list('a')).toEqual({ tags: ['v1', 'v2'], more: false });
  read.length = 0;
  expect(await store.tags.list('a')).toEqual({ tags: ['v1', 'v2'], more: false });
  expect(await store.tags.list('a', { after: 'v1', limit: 1 })).toEqual({ tags: ['v2'], more: false });
  expect(read).toEqual([]);
});

test('a tag that another program adds or removes counts at once', async () => {
  await using place = await settled();
  const { store, repositories } = place;
  const tags = join(repositories, 'a/_manifests/tags');
  await store.tags.list('a');
  await mkdir(join(tags, 'v3/current'), { recursive: true });
  await writeFile(join(tags, 'v3/current/link'), `sha256:${'0'.repeat(64)}`);
  expect(await store.tags.list('a')).toMatchObject({ tags: ['v1', 'v2', 'v3'] });
  await age(tags);
  await store.tags.list('a');
  await rm(join(tags, 'v1'), { recursive: true });
  expect(await store.tags.list('a')).toMatchObject({ tags: ['v2', 'v3'] });
});

test('a tag whose folder is there before its link counts once it points to something', async () => {
  await using place = await settled();
  const { store, repositories } = place;
  const tags = join(repositories, 'a/_manifests/tags');
  await mkdir(join(tags, 'v3/current'), { recursive: true });
  await age(tags);
  expect(await store.tags.list('a')).toMatchObject({ tags: ['v1', 'v2'] });
  await writeFile(join(tags, 'v3/current/link'), `sha256:${'0'.repeat(64)}`);
  expect(await store.tags.list('a')).toMatchObject({ tags: ['v1', 'v2', 'v3'] });
});

test('a folder that has just changed is read again: the next change may carry the same time', async () => {
  await using place = await settled();
  const { store, repositories } = place;
  const tags = join(repositories, 'a/_manifests/tags');
  const now = new Date();
  await utimes(tags, now, now);
  await store.tags.list('a');
  await rm(join(tags, 'v1'), { recursive: true });
  await utimes(tags, now, now);
  expect(await store.tags.list('a')).toMatchObject({ tags: ['v2'] });
});

test('repositories of folders that have not changed are listed without reading them again', async () => {
  await using place = await settled();
  const { store, read } = place;
  const all = { repositories: ['a', 'a/b', 'c'], more: false };
  expect(await store.catalog.list()).toEqual(all);
  read.length = 0;
  expect(await store.catalog.list()).toEqual(all);
  expect(read).toEqual([]);
});

test('a repository that another program adds or removes counts at once', async () => {
  await using place = await settled();
  const { store, repositories } = place;
  await store.catalog.list();
  await mkdir(join(repositories, 'a/d/_manifests/tags'), { recursive: true });
  await rm(join(repositories, 'c'), { recursive: true });
  expect(await store.catalog.list()).toMatchObject({ repositories: ['a', 'a/b', 'a/d'] });
  await rm(join(repositories, 'a/b/_manifests'), { recursive: true });
  expect(await store.catalog.list()).toMatchObject({ repositories: ['a', 'a/d'] });
});
