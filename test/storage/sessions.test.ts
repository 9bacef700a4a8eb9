import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { temporaryFolder } from '../../storage/layout.ts';
import type { Driver } from '../../storage/driver.ts';
import { StorageError } from '../../storage/errors.ts';
import { openStore, type Store } from '../../storage/store.ts';
import { FaultyFileSystem } from '../support/faulty-fs.ts';
import { body, collect, sha256 } from '../support/images.ts';
import { random } from '../support/random.ts';
import { leftoversOf } from './backends.ts';
import { root, storeOn } from './power-cut.ts';

const bytes = random(11).bytes(3000);
const digest = sha256(bytes);
const [minute, hour, day] = [60_000, 3_600_000, 86_400_000];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** The ids of the sessions that are there, of those that were made. */
async function open(store: Store, ids: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    ids.map((id) =>
      store.uploads.status('a', id).then(
        () => [id],
        () => [],
      ),
    ),
  );
  return found.flat();
}

/** A body that says when it was asked for its first bytes, and gives the others when it is told to. */
function hanging(): { body: AsyncIterable<Uint8Array>; begun: Promise<void>; goOn: () => void } {
  const { promise: stuck, resolve: goOn } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  async function* pieces(): AsyncGenerator<Uint8Array, void, void> {
    begin();
    await stuck;
    yield bytes;
  }
  return { body: pieces(), begun, goOn };
}

test('a session expires when nothing has happened in it for so long, and not before', async () => {
  const files = new FaultyFileSystem();
  await using store = await storeOn(files);
  const ids: string[] = [];
  for (let number = 0; number < 3; number += 1) ids.push((await store.uploads.create('a')).id);
  const [idle = '', used = ''] = ids;
  await store.uploads.append('a', idle, body(bytes));
  vi.advanceTimersByTime(day - minute);
  await store.uploads.append('a', used, body(bytes));
  await store.uploads.expire(day);
  expect(await open(store, ids)).toEqual(ids);
  vi.advanceTimersByTime(minute);
  await store.uploads.expire(day);
  expect(await open(store, ids)).toEqual([used]);
  await store.uploads.commit('a', used, digest, undefined);
  expect(leftoversOf(files)).toEqual([]);
});

test('a session that a request holds does not expire, however long that is silent', async () => {
  await using store = await storeOn(new FaultyFileSystem());
  const { id } = await store.uploads.create('a');
  const slow = hanging();
  const append = store.uploads.append('a', id, slow.body);
  await slow.begun;
  vi.advanceTimersByTime(10 * day);
  await store.uploads.expire(day);
  slow.goOn();
  expect(await append).toEqual({ id, offset: 3000 });
});

test('a session to which bytes trickle does not expire, though another process looks', async () => {
  const files = new FaultyFileSystem();
  await using one = await storeOn(files);
  await using two = await storeOn(files);
  const { id } = await one.uploads.create('a');
  await one.uploads.append(
    'a',
    id,
    (async function* () {
      for (const byte of bytes) {
        yield Buffer.of(byte);
        vi.advanceTimersByTime(20_000);
        await two.uploads.expire(2 * minute);
      }
    })(),
  );
  await two.uploads.commit('a', id, digest, undefined);
});

test('of an owner who has too many, the oldest idle ones end, and nobody else’s', async () => {
  await using store = await storeOn(new FaultyFileSystem());
  const create = async (count: number, owner: string): Promise<string[]> => {
    const ids: string[] = [];
    for (let number = 0; number < count; number += 1) {
      vi.advanceTimersByTime(1);
      ids.push((await store.uploads.create('a', { owner })).id);
    }
    return ids;
  };
  const other = await create(10, 'other');
  const many = await create(1010, 'ci');
  await store.uploads.append('a', many[0] ?? '', body(bytes));
  vi.advanceTimersByTime(hour - minute);
  await store.uploads.expire(day);
  expect(await open(store, many)).toEqual(many);
  vi.advanceTimersByTime(minute);
  await store.uploads.expire(day);
  expect(await open(store, many)).toEqual(many.toSpliced(1, 10));
  expect(await open(store, other)).toEqual(other);
});

test('one that was active within the hour is never one too many', async () => {
  await using store = await storeOn(new FaultyFileSystem());
  const ids: string[] = [];
  for (let number = 0; number < 1005; number += 1) ids.push((await store.uploads.create('a')).id);
  vi.advanceTimersByTime(hour - 1);
  await store.uploads.expire(day);
  expect(await open(store, ids)).toEqual(ids);
});

/** Ends a session with a blob, or fails as one does whose session is gone or taken. @returns whether it ended with it */
async function finish(store: Store, id: string): Promise<boolean> {
  try {
    await store.uploads.append('a', id, body(bytes.subarray(1000)), 1000);
    await store.uploads.commit('a', id, digest, undefined);
    return true;
  } catch (error) {
    if (error instanceof StorageError && /^UPLOAD_(?:UNKNOWN|TAKEN_OVER|OUT_OF_ORDER)$/.test(error.code)) return false;
    throw error;
  }
}

/** A session that has been idle for too long, in a tree that one or two processes have open. */
async function idleSession(
  processes: 1 | 2,
): Promise<{ files: FaultyFileSystem; driver: Driver; sweeper: Store; worker: Store; id: string }> {
  const files = new FaultyFileSystem();
  const driver = await openDisk({ root, fileSystem: files });
  const sweeper = await openStore({ driver, indexMaxAge: 0 });
  const worker = processes === 1 ? sweeper : await storeOn(files);
  const { id } = await worker.uploads.create('a');
  await worker.uploads.append('a', id, body(bytes.subarray(0, 1000)));
  vi.advanceTimersByTime(2 * day);
  return { files, driver, sweeper, worker, id };
}

test.each([1, 2] as const)(
  'a request and a sweep of %i process(es), interleaved at each call: a whole blob, or no such session, and nothing left',
  async (processes) => {
    const outcomes = new Set<boolean>();
    for (const first of ['sweep', 'request'] as const) {
      let interleaved = true;
      for (let stop = 1; interleaved; stop += 1) {
        interleaved = false;
        const { files, driver, sweeper, worker, id } = await idleSession(processes);
        const sweep = (): Promise<void> => sweeper.uploads.expire(day);
        const request = (): Promise<boolean> => finish(worker, id);
        const begun = files.calls;
        let other: Promise<boolean | void> | undefined;
        files.before(async ({ number }) => {
          if (number !== begun + stop || other !== undefined) return;
          interleaved = true;
          other = first === 'sweep' ? request() : sweep();
          // Within one process the second may wait for the first.
          if (processes === 2) await other;
        });
        const done = await (first === 'sweep' ? sweep() : request());
        const finished = [done, await other].includes(true);
        files.before(undefined);
        outcomes.add(finished);
        if (finished) {
          const { body } = await worker.blobs.open('a', digest);
          expect(sha256(await collect(body))).toBe(digest);
        }
        await driver.sweep(0);
        await sweeper.uploads.expire(0);
        expect(leftoversOf(files), `${first}, call ${stop}`).toEqual([]);
        expect(await driver.list(temporaryFolder)).toEqual([]);
      }
    }
    expect(outcomes).toEqual(new Set([true, false]));
  },
);

test('two sweeps at once, interleaved at each call, end a session without a failure', async () => {
  let interleaved = true;
  for (let stop = 1; interleaved; stop += 1) {
    interleaved = false;
    const { files, driver, sweeper, worker, id } = await idleSession(2);
    const begun = files.calls;
    let other: Promise<void> | undefined;
    files.before(({ number }) => {
      if (number !== begun + stop || other !== undefined) return;
      interleaved = true;
      other = worker.uploads.expire(day);
    });
    await sweeper.uploads.expire(day);
    await other;
    files.before(undefined);
    expect(await open(worker, [id])).toEqual([]);
    await driver.sweep(0);
    expect(leftoversOf(files)).toEqual([]);
  }
});
