import { afterAll, beforeAll, describe } from 'vitest';
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
    const driver = await openS3(place);
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
  mountsSuite('mounts', backend);
  referrersSuite('referrers', backend);
  upkeepSuite('upkeep', backend);
});
