import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Driver } from '../../storage/driver.ts';
import { openS3 } from '../../storage/drivers/s3.ts';
import type { Backend } from '../storage/backends.ts';
import { mountsSuite } from '../storage/suites/mounts.ts';
import { referrersSuite } from '../storage/suites/referrers.ts';
import { storeSuite } from '../storage/suites/contract.ts';
import { upkeepSuite } from '../storage/suites/upkeep.ts';
import { random } from '../support/random.ts';
import { kinds, type S3Server, startS3 } from './support/s3.ts';

const mebibyte = 1024 * 1024;

describe.each(kinds)('%s', (kind) => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3(kind);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  const backend = async (): Promise<Backend> => {
    const place = server.place();
    const opened = await openS3(place);
    const driver = kind === 'seaweedfs' ? withoutEmptyFolders(opened) : opened;
    return {
      driver,
      leftovers: async () => {
        const within = { Bucket: place.bucket, Prefix: place.prefix.slice(1) };
        const { Contents: objects = [] } = await server.s3.listObjectsV2(within);
        const { Uploads: uploads = [] } = await server.s3.listMultipartUploads(within);
        const keys = [...objects, ...uploads].map(({ Key: key = '' }) => key);
        return [
          ...keys.filter((key) => key.includes('/_shiplog/uploads/')),
          ...uploads.map(({ Key: key }) => key ?? ''),
        ];
      },
      [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
    };
  };

  test.each([
    ['one part, sent to its place', 5, true],
    ['several parts, sent to their place', 20 * mebibyte, true],
    ['several parts, put together there', 20 * mebibyte, false],
    ['more than is copied at once', 260 * mebibyte, true],
  ])('a blob can be moved, whatever it came as: %s', async (_, size, direct) => {
    await using driver = await openS3(server.place());
    const [from, to] = ['docker/registry/v2/blobs/from/data', 'docker/registry/v2/blobs/to/data'];
    await driver.uploads.create('u', '');
    const lease = await driver.uploads.open('u', direct ? { target: from } : {});
    const bytes = random(size).bytes(mebibyte);
    const sent = createHash('sha256');
    for (let at = 0; at < size; at += mebibyte) {
      const piece = bytes.subarray(0, size - at);
      sent.update(piece);
      await lease?.append([piece]);
    }
    await lease?.commit(from);
    expect(await driver.move(from, to)).toBe(true);
    expect(await driver.stat(from)).toBeUndefined();
    const read = createHash('sha256');
    for await (const piece of driver.read(to, { start: 0, end: size - 1 })) read.update(piece);
    expect(read.digest('hex')).toBe(sent.digest('hex'));
    expect(await driver.move(from, to)).toBe(false);
  });

  test('what was broken off is swept, and what goes on stays', async () => {
    const place = server.place();
    await using driver = await openS3(place);
    await driver.uploads.create('u', '');
    const lease = await driver.uploads.open('u');
    await lease?.append([Buffer.from('kept')]);
    await lease?.save('note');
    const folder = 'docker/registry/v2/_shiplog/uploads';
    await driver.put(`${folder}/orphan/part.1.0`, Buffer.from('litter'));
    // S3 counts in whole seconds.
    await vi.waitFor(async () => {
      await driver.sweep(0);
      expect(await driver.stat(`${folder}/orphan/part.1.0`)).toBeUndefined();
    }, 30_000);
    const listed: unknown[] = [];
    for await (const { id, note } of driver.uploads.list()) listed.push({ id, note });
    expect(listed).toEqual([{ id: 'u', note: 'note' }]);
    expect((await driver.uploads.open('u'))?.offset).toBe(4);
  });

  storeSuite('the store', backend);
  // It takes a minute, and is about the store more than about the server.
  if (kind === 'versitygw') mountsSuite('mounts', backend);
  referrersSuite('referrers', backend);
  upkeepSuite('upkeep', backend);
});

/** SeaweedFS goes on to list folders in which nothing is left. */
function withoutEmptyFolders(driver: Driver): Driver {
  const isThere = async (folder: string): Promise<boolean> => {
    for await (const _ of driver.walk(folder)) return true;
    return false;
  };
  return {
    uploads: driver.uploads,
    stat: (key) => driver.stat(key),
    get: (key, limit) => driver.get(key, limit),
    read: (key, span) => driver.read(key, span),
    put: (key, bytes) => driver.put(key, bytes),
    delete: (key) => driver.delete(key),
    deleteSame: (key, bytes, within) => driver.deleteSame(key, bytes, within),
    async list(folder) {
      const entries = await driver.list(folder);
      const there = await Promise.all(
        entries.map(async ({ name, folder: isFolder }) => !isFolder || (await isThere(`${folder}/${name}`))),
      );
      return entries.filter((_, place) => there[place]);
    },
    settle: (keys) => driver.settle(keys),
    walk: (folder, after) => driver.walk(folder, after),
    move: (from, to) => driver.move(from, to),
    sweep: (age) => driver.sweep(age),
    free: () => driver.free(),
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  };
}
