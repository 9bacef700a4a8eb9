import { openS3 } from '../../storage/drivers/s3.ts';
import { ScriptedS3 } from '../support/scripted-s3.ts';
import type { Backend } from './backends.ts';
import { storeSuite } from './suites/contract.ts';
import { referrersSuite } from './suites/referrers.ts';

async function open(): Promise<Backend> {
  const s3 = await ScriptedS3.start();
  const driver = await openS3({ ...s3.options, prefix: 'a prefix/of two' });
  return {
    driver,
    leftovers: async () => [
      ...[...s3.objects.keys()].filter((key) => key.includes('/_shiplog/uploads/')),
      ...s3.multiparts.keys(),
    ],
    async [Symbol.asyncDispose]() {
      await driver[Symbol.asyncDispose]();
      await s3[Symbol.asyncDispose]();
    },
  };
}

const kind = 's3 on a server in memory';
storeSuite(kind, open);
referrersSuite(kind, open);
