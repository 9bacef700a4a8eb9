import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { blobsFolder, uploadsFolder } from '../../../storage/layout.ts';
import type { Bench, Round } from '../frame/bench.ts';
import { load } from '../load.ts';
import { type Registry, shiplog } from './servers.ts';
import { contestant, MiB, nothing, rounds } from './work.ts';

const layerSize = 5000 * MiB;

/** How long records are sent, in s. */
const seconds = 4;

/** Records over HTTP, each answered once it is synced; on as many connections as there are likely to be workers, or more. */
async function commit({ url }: Registry): Promise<Round> {
  const { p99ms, operations, cpu, ...done } = await load(
    'requests',
    { url, seconds, 'at-once': 4, type: 'application/json', body: '{"message":"a line that somebody waits for"}' },
    'POST /logs 200',
  );
  return { value: p99ms, operations, loadCores: cpu / done.seconds };
}

/** The same while a layer comes in, which is thrown away after it. */
async function commitBesidePush(registry: Registry, _: void, number: number): Promise<Round> {
  const { url, root = '' } = registry;
  const pushing = { isOver: false };
  const push = load('push', { url, seed: number + 1, 'layer-size': layerSize }).finally(() => (pushing.isOver = true));
  const hasBegun = async (): Promise<boolean> =>
    (await readdir(join(root, uploadsFolder))).some((name) => name.includes('.data.'));
  // It makes its content's digest first.
  while (!pushing.isOver && !(await hasBegun())) await sleep(20);
  const round = await commit(registry);
  if (pushing.isOver) throw new Error('the layer was there before all records were');
  await push;
  await rm(join(root, blobsFolder), { recursive: true });
  return round;
}

/** How long a record waits for its commit while a large layer is pushed into the same shiplog, on the same disk. */
export const latency: Bench = {
  name: 'latency',
  title: '99th percentile of a record’s commit while 5 GB are pushed, or at rest',
  unit: 'ms',
  better: 'less',
  rounds,
  goals: [{ than: 'shiplog, at rest', atMost: 5 }],
  contestants: new Map([
    ['shiplog', () => contestant(shiplog, { prepare: nothing, round: commitBesidePush })],
    ['shiplog, at rest', () => contestant(shiplog, { prepare: nothing, round: commit })],
  ]),
};
