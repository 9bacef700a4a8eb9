import { expect, test, vi } from 'vitest';
import { fault, FaultyFileSystem } from '../support/faulty-fs.ts';
import { body, collect, sha256 } from '../support/images.ts';
import { random } from '../support/random.ts';
import { storeOn } from './power-cut.ts';

const mebibyte = 1024 * 1024;
const bytes = random(8).bytes(40 * mebibyte);
const digest = sha256(bytes);

test('of a large upload no more than a little is ever unsynced, and its last sync is short', async () => {
  const files = new FaultyFileSystem();
  await using store = await storeOn(files);
  let [written, syncing, synced, most] = [0, 0, 0, 0];
  files.before(async ({ op, path }) => {
    if (!path.includes('.data.')) return;
    if (op === 'writev') {
      written += mebibyte;
      most = Math.max(most, written - synced);
    }
    if (op !== 'datasync') return;
    expect(syncing).toBe(0);
    syncing = written;
    // Others write meanwhile.
    for (let tick = 0; tick < 20; tick += 1) await new Promise(setImmediate);
    [synced, syncing] = [syncing, 0];
  });
  const { id } = await store.uploads.create('a');
  await store.uploads.commit('a', id, digest, body(bytes));
  expect(written).toBeGreaterThanOrEqual(bytes.length);
  expect(most).toBeLessThanOrEqual(20 * mebibyte);
});

test('where an early sync fails, the upload goes on from what is durable, and a power cut takes nothing', async () => {
  const files = new FaultyFileSystem();
  await using store = await storeOn(files);
  const { id } = await store.uploads.create('a');
  let syncs = 0;
  files.before(({ op, path }) => {
    if (op !== 'datasync' || !path.includes('.data.')) return undefined;
    syncs += 1;
    return syncs === 2 ? fault('EIO', op, path) : undefined;
  });
  await expect(store.uploads.append('a', id, body(bytes))).rejects.toMatchObject({ code: 'EIO' });
  const { offset } = await store.uploads.status('a', id);
  expect(offset).toBeGreaterThan(0);
  expect(offset).toBeLessThan(20 * mebibyte);
  await store.uploads.commit('a', id, digest, body(bytes.subarray(offset)), offset);
  await using after = await storeOn(files.crash({ loseAll: true }));
  expect(sha256(await collect((await after.blobs.open('a', digest)).body))).toBe(digest);
});

test('what is written while a sync goes on is synced by another one', async () => {
  const files = new FaultyFileSystem();
  const open = files.open.bind(files);
  vi.spyOn(files, 'open').mockImplementation(async (...options) => {
    const handle = await open(...options);
    const datasync = handle.datasync.bind(handle);
    vi.spyOn(handle, 'datasync').mockImplementation(async () => {
      await datasync();
      for (let tick = 0; tick < 50; tick += 1) await new Promise(setImmediate);
    });
    return handle;
  });
  const some = bytes.subarray(0, 10 * mebibyte);
  await using store = await storeOn(files);
  const { id } = await store.uploads.create('a');
  await store.uploads.commit('a', id, sha256(some), body(some));
  await using after = await storeOn(files.crash({ loseAll: true }));
  expect(sha256(await collect((await after.blobs.open('a', sha256(some))).body))).toBe(sha256(some));
});
