import { afterAll, beforeAll, describe } from 'vitest';
import { testAtOnce } from './support/at-once.ts';
import { testCollector } from './support/collector.ts';
import { type Ground, inBucket } from './support/ground.ts';
import { testAlike } from './support/in-turn.ts';
import { registry2 } from './support/registry2.ts';
import { registry3 } from './support/registry3.ts';
import { type S3Server, startS3 } from './support/s3.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startS3('versitygw');
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const open = async (): Promise<Ground> => inBucket(server);

describe('registry:2 and shiplog in one bucket', () => {
  testAlike(registry2, open);
  testAtOnce(registry2, { open, deletesTags: false });
  testCollector(registry2, { open, removesLinks: false });
});

describe('registry:3 and shiplog in one bucket', () => {
  testAlike(registry3, open);
  testAtOnce(registry3, { open, deletesTags: true });
  testCollector(registry3, { open, removesLinks: true });
});
