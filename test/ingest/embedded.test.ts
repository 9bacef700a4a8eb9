import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbedded } from '../../ingest/sinks/embedded.ts';
import { quiet } from '../support/log.ts';
import { sinkContract } from '../support/sink-contract.ts';

sinkContract(async () => {
  const data = await mkdtemp(join(tmpdir(), 'shiplog-embedded-'));
  const sink = await openEmbedded({ directory: join(data, 'logs'), log: quiet });
  return {
    sink,
    settled: () => Promise.resolve(),
    async [Symbol.asyncDispose]() {
      await sink[Symbol.asyncDispose]();
      await rm(data, { recursive: true });
    },
  };
});
