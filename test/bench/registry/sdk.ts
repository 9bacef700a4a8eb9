import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { startS3 } from '../../peers/support/s3.ts';
import type { Contestant } from '../frame/bench.ts';
import type { SdkAnswer, SdkJob } from './sdk-process.ts';

/** Objects of a size, which one process moves by the SDK. */
export interface SdkWork {
  readonly does: 'put' | 'get';
  readonly count: number;
  /** In bytes. */
  readonly size: number;
  readonly atOnce: number;
}

/** A process that does nothing but to move bytes to or from an S3 server by the SDK: what a registry can come near to. */
export async function sdk({ does, ...objects }: SdkWork): Promise<Contestant> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startS3('versitygw'));
  const child = fork(join(import.meta.dirname, 'sdk-process.ts'), { serialization: 'advanced' });
  await once(child, 'spawn');
  stack.defer(async () => {
    const exit = once(child, 'exit');
    child.disconnect();
    await exit;
  });
  const place = server.place();
  const ask = async (job: SdkJob): Promise<SdkAnswer> => {
    const answer = new Promise<SdkAnswer>((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', (code) => reject(new Error(`the process of the SDK ended with ${code}`)));
    });
    child.send(job);
    return answer;
  };
  await ask({ ...objects, place, does: 'put', round: 0 });
  const parts = stack.move();
  return {
    pids: () => (child.pid === undefined ? [] : [child.pid]),
    async round(number) {
      const { seconds } = await ask({ ...objects, place, does, round: does === 'put' ? number + 1 : 0 });
      return { value: (objects.count * objects.size) / 1e6 / seconds, operations: objects.count };
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
