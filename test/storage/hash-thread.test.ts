import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { BatchMemory, batchSize } from '../../storage/batch-memory.ts';
import { digestOf } from '../../storage/digest.ts';
import { RunningHash } from '../../storage/hash.ts';
import { HashThread } from '../../storage/hash-thread.ts';
import { FaultyFileSystem } from '../support/faulty-fs.ts';
import { body, collect, sha256 } from '../support/images.ts';
import { random } from '../support/random.ts';
import { storeOn } from './power-cut.ts';

afterEach(() => vi.restoreAllMocks());

describe.each(['sha256', 'sha512'] as const)('a %s in another thread', (algorithm) => {
  const bytes = random(4).bytes(200_000);
  const digest = (end: number): string => digestOf(bytes.subarray(0, end), algorithm);

  test('says the digest so far, and goes on, and gives memory back that it was lent', async () => {
    await using thread = new HashThread();
    for (const hash of [thread.start(algorithm), thread.movable(algorithm)]) {
      for (const end of [0, 1, 64, 70_000, 200_000]) {
        const lent = new Uint8Array(bytes.subarray(hash.length, end));
        const { byteLength } = lent;
        expect(await hash.update([lent], lent.buffer)).toHaveProperty('byteLength', byteLength);
        expect(lent.byteLength).toBe(0);
        expect(await hash.save()).toMatchObject({ length: end, digest: digest(end) });
      }
    }
  });

  test('goes on there with what was saved here', async () => {
    await using thread = new HashThread();
    const here = await RunningHash.movable(algorithm);
    here.update([bytes.subarray(0, 333)]);
    const there = thread.resume(here.save());
    expect(there?.length).toBe(333);
    await there?.update([bytes.subarray(333)]);
    expect((await there?.save())?.digest).toBe(digest(bytes.length));
    expect(thread.resume(RunningHash.start(algorithm).save())).toBeUndefined();
  });
});

test('hashes end with the thread that had them; later ones have another', async () => {
  await using thread = new HashThread();
  const { state = '', ...saved } = (await RunningHash.movable('sha256')).save();
  const [whole, broken] = [thread.start('sha256'), thread.resume({ ...saved, state: state.slice(0, 40) })];
  await expect(broken?.save()).rejects.toThrow('has ended');
  await expect(whole.save()).rejects.toThrow('has ended');
  const next = thread.start('sha256');
  await next.update([Buffer.from('a')]);
  expect((await next.save()).digest).toBe(sha256(Buffer.from('a')));
});

test('an upload outlives the thread that hashes it', async () => {
  const post = vi.spyOn(Worker.prototype, 'postMessage');
  await using store = await storeOn(new FaultyFileSystem());
  const bytes = random(5).bytes(3 * batchSize);
  const half = bytes.length / 2;
  const { id } = await store.uploads.create('a');
  await store.uploads.append('a', id, body(bytes.subarray(0, half)));
  const [worker] = post.mock.contexts;
  if (!(worker instanceof Worker)) throw new Error('it was not hashed in a thread');
  await worker.terminate();
  await store.uploads.commit('a', id, sha256(bytes), body(bytes.subarray(half)));
  expect(await collect((await store.blobs.open('a', sha256(bytes))).body)).toEqual(bytes);
});

test('pieces of a body are given back once nobody looks at them, whoever hashes them', async () => {
  await using store = await storeOn(new FaultyFileSystem());
  for (const size of [1000, 3 * batchSize]) {
    const bytes = random(size).bytes(size);
    const released: Uint8Array[] = [];
    const { id } = await store.uploads.create('a');
    await store.uploads.commit('a', id, sha256(bytes), {
      [Symbol.asyncIterator]: () => body(Buffer.from(bytes)),
      release(piece) {
        piece.fill(0);
        released.push(piece);
      },
    });
    expect(released.reduce((sum, { length }) => sum + length, 0)).toBe(size);
    expect(await collect((await store.blobs.open('a', sha256(bytes))).body)).toEqual(bytes);
  }
});

test('who finds no memory left for a batch waits until some is given back, in turn', async () => {
  const memory = new BatchMemory();
  const order: number[] = [];
  const gathered = Array.from({ length: 14 }, async (_, number) => {
    const bytes = await memory.gather([Buffer.from([number]), Buffer.from([77])]);
    order.push(number);
    return bytes;
  });
  const first = await Promise.all(gathered.slice(0, 12));
  for (let tick = 0; tick < 20; tick += 1) await Promise.resolve();
  expect(order).toHaveLength(12);
  memory.give(first[0]?.buffer);
  // A thread that ended took it along.
  memory.give(undefined);
  expect((await Promise.all(gathered.slice(12))).map((bytes) => [...bytes])).toEqual([
    [12, 77],
    [13, 77],
  ]);
});
