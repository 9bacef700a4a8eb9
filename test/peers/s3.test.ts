import { afterAll, beforeAll, describe } from 'vitest';
import type { Driver } from '../../storage/driver.ts';
import { openS3 } from '../../storage/drivers/s3.ts';
import type { Backend } from '../storage/backends.ts';
import { mountsSuite } from '../storage/suites/mounts.ts';
import { referrersSuite } from '../storage/suites/referrers.ts';
import { storeSuite } from '../storage/suites/contract.ts';
import { upkeepSuite } from '../storage/suites/upkeep.ts';
import { kinds, type S3Server, startS3 } from './support/s3.ts';

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
