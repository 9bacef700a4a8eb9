import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Server, startServer } from '../support/server.ts';
import { generate, type Generated, told } from './support/generated.ts';
import { longTest } from './support/long.ts';
import { memoryOf } from './support/memory.ts';
import { type Store, stores } from './support/stores.ts';

const [layers, MB, mostMore] = [8, 1_000_000, 300];

/** As Docker does it: a PATCH without a length, then an empty PUT. */
async function push(server: Server, { digest, bytes }: Generated): Promise<void> {
  const begun = await told(`${server.url}/v2/large/blobs/uploads/`, 'POST');
  const patched = await told(server.url + begun.location, 'PATCH', {}, bytes());
  expect(patched.status).toBe(202);
  const put = await told(`${server.url}${patched.location}?digest=${digest}`, 'PUT', { 'content-length': 0 });
  expect(put.status).toBe(201);
}

/** What the server's processes take while it is idle, and at most while layers of a size (MB) come in at once; in MB. */
async function measure(server: Server, size: number): Promise<{ idle: number; most: number }> {
  const contents: Generated[] = [];
  for (let seed = 1; seed <= layers; seed += 1) contents.push(await generate(size * MB, seed));
  const memory = (): Promise<number> => memoryOf(server.pid() ?? 0);
  const idle = await memory();
  const over = new AbortController();
  let most = 0;
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      most = Math.max(most, await memory());
      await sleep(50);
    }
  };
  const watching = watch();
  try {
    await Promise.all(contents.map((content) => push(server, content)));
  } finally {
    over.abort();
    await watching;
  }
  return { idle: Math.round(idle / MB), most: Math.round(most / MB) };
}

describe.each(stores)('on $store', ({ store, start }) => {
  let place: Store;
  beforeAll(async () => {
    place = await start();
  }, 600_000);
  afterAll(() => place[Symbol.asyncDispose]());

  const holds = async (size: number): Promise<void> => {
    await using server = await startServer(place.settings());
    const { idle, most } = await measure(server, size);
    console.log(`${store}: idle ${idle} MB, at most ${most} MB while ${layers} layers of ${size} MB came in at once`);
    expect(idle).toBeGreaterThan(0);
    expect(most - idle).toBeLessThanOrEqual(mostMore);
  };
  test(`${layers} layers of 64 MB at once take ${mostMore} MB at most`, () => holds(64));
  longTest(`${layers} layers of 1 GB at once take ${mostMore} MB at most, on ${store}`, () => holds(1000));
});
