import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { openStore, type Store, type UploadBody } from '../../storage/store.ts';
import { FaultyFileSystem } from '../support/faulty-fs.ts';
import { blob, body, collect, image, pushBlob, pushImage, sha256 } from '../support/images.ts';
import { random } from '../support/random.ts';
import { root } from './power-cut.ts';

const mebibyte = 1024 * 1024;
const reserve = 100 * mebibyte;
const full = {
  code: 'NO_SPACE',
  message: expect.stringMatching(/^no space left on device: \d+ MiB are free, of which/),
};
const bytes = random(12).bytes(mebibyte);
const digest = sha256(bytes);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A store on a disk of which so much is left beyond the reserve. */
async function storeWith(
  room: number,
): Promise<{ files: FaultyFileSystem; store: Store; leave: (room: number) => void }> {
  const files = new FaultyFileSystem();
  const driver = await openDisk({ root, fileSystem: files });
  const store = await openStore({ driver, indexMaxAge: 0, freeSpaceReserve: reserve });
  const leave = (bytes: number): void => {
    files.free = reserve + bytes;
    vi.advanceTimersByTime(1000);
  };
  leave(room);
  return { files, store, leave };
}

/** A body that announces its length. */
function announced(content: Uint8Array, length = content.length): UploadBody {
  const pieces = body(content);
  return { length, [Symbol.asyncIterator]: () => pieces };
}

/** A body that announces so much, and hangs until it is ended, without having sent it. */
function pending(length: number): { body: UploadBody; begun: Promise<void>; end: () => void } {
  const { promise: stuck, resolve: end } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  async function* pieces(): AsyncGenerator<Uint8Array, void, void> {
    begin();
    await stuck;
    yield Buffer.of(1);
  }
  return { body: { length, [Symbol.asyncIterator]: pieces }, begun, end };
}

test('once the reserve is touched no session, no byte and no manifest is taken, and all else goes on', async () => {
  const { store, leave } = await storeWith(10 * mebibyte);
  await using _store = store;
  const [pushed, late] = [image({ seed: 1 }), image({ seed: 2 })];
  await pushImage(store, 'a', pushed, 'v1');
  for (const one of [late.config, ...late.layers]) await pushBlob(store, 'a', one);
  const [whole, half] = [await store.uploads.create('a'), await store.uploads.create('a')];
  await store.uploads.append('a', whole.id, body(bytes));
  await store.uploads.append('a', half.id, body(bytes.subarray(0, 1000)));

  leave(-1);
  await expect(store.uploads.create('a')).rejects.toMatchObject(full);
  const rest = bytes.subarray(1000);
  for (const send of [body, announced]) {
    await expect(store.uploads.append('a', half.id, send(rest))).rejects.toMatchObject(full);
    await expect(store.uploads.commit('a', half.id, digest, send(rest))).rejects.toMatchObject(full);
  }
  await expect(store.manifests.put('a', 'v2', late.manifest.bytes)).rejects.toMatchObject(full);

  expect(await store.uploads.status('a', half.id)).toEqual({ id: half.id, offset: 1000 });
  await store.uploads.commit('a', whole.id, digest, undefined);
  expect(sha256(await collect((await store.blobs.open('a', digest)).body))).toBe(digest);
  expect(await store.blobs.mount('b', digest, { from: 'a', mayRead: () => true })).toBe(true);
  await store.blobs.delete('a', digest);
  await store.manifests.delete('a', pushed.manifest.digest);

  leave(10 * mebibyte);
  await store.uploads.commit('a', half.id, digest, body(rest), 1000);
  await store.manifests.put('a', 'v2', late.manifest.bytes);
});

test('a body that would touch the reserve is refused before its first byte, and its session goes on as it was', async () => {
  const { store } = await storeWith(2 * mebibyte);
  await using _store = store;
  const { id } = await store.uploads.create('a');
  let asked = false;
  const tooMuch: UploadBody = {
    length: 2 * mebibyte + 1,
    async *[Symbol.asyncIterator]() {
      asked = true;
      yield bytes;
    },
  };
  await expect(store.uploads.append('a', id, tooMuch)).rejects.toMatchObject(full);
  await expect(store.uploads.commit('a', id, digest, tooMuch)).rejects.toMatchObject(full);
  expect(asked).toBe(false);
  await store.uploads.append('a', id, announced(bytes));
  await store.uploads.commit('a', id, digest, undefined);
});

test('what running uploads have announced counts until they end', async () => {
  const { store } = await storeWith(3 * mebibyte);
  await using _store = store;
  const [one, two] = [await store.uploads.create('a'), await store.uploads.create('a')];
  const running = pending(2.5 * mebibyte);
  const append = store.uploads.append('a', one.id, running.body);
  await running.begun;
  await store.uploads.create('a');
  const held = { code: 'NO_SPACE', message: expect.stringMatching(/, and 2 MiB are for what is being written$/) };
  await expect(store.uploads.append('a', two.id, announced(bytes))).rejects.toMatchObject(held);
  await expect(store.uploads.append('a', two.id, body(bytes))).rejects.toMatchObject(full);
  running.end();
  await append;
  await store.uploads.append('a', two.id, announced(bytes));
});

test('of many bodies that are announced at once, only those are taken that fit together', async () => {
  const { store } = await storeWith(3.5 * mebibyte);
  await using _store = store;
  const sessions = await Promise.all(Array.from({ length: 8 }, () => store.uploads.create('a')));
  const bodies = sessions.map(() => pending(mebibyte));
  const appends = sessions.map(({ id }, place) => store.uploads.append('a', id, bodies[place]?.body ?? body(bytes)));
  const outcomes = Promise.allSettled(appends);
  await Promise.all(bodies.slice(0, 3).map(({ begun }) => begun));
  for (const { end } of bodies) end();
  expect((await outcomes).filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
});

test('what is written counts before the disk is asked again, which is at most once a second', async () => {
  const { files, store } = await storeWith(3.2 * mebibyte);
  await using _store = store;
  let asked = 0;
  const statfs = files.statfs.bind(files);
  files.statfs = (path) => {
    asked += 1;
    return statfs(path);
  };
  for (let number = 0; number < 3; number += 1) {
    await pushBlob(store, 'a', blob('text/plain', random(number).bytes(mebibyte)));
  }
  const { id } = await store.uploads.create('a');
  await expect(store.uploads.append('a', id, body(bytes))).rejects.toMatchObject(full);
  expect(asked).toBe(1);
  vi.advanceTimersByTime(1000);
  await store.uploads.append('a', id, body(bytes));
  expect(asked).toBe(2);
});

test('a disk that fills up from elsewhere ends an upload in its course, and what came before is kept', async () => {
  const { store, leave } = await storeWith(10 * mebibyte);
  await using _store = store;
  const { id } = await store.uploads.create('a');
  const long: UploadBody = {
    length: 5 * mebibyte,
    async *[Symbol.asyncIterator]() {
      for (let sent = 0; sent < 3; sent += 1) yield bytes;
      await expect.poll(async () => (await store.uploads.status('a', id)).offset).toBe(2 * mebibyte);
      leave(mebibyte);
      yield bytes;
      yield bytes;
    },
  };
  await expect(store.uploads.append('a', id, long)).rejects.toMatchObject(full);
  expect((await store.uploads.status('a', id)).offset).toBe(2 * mebibyte);
});

test('what a push that was refused has left makes room for others after five minutes', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'Date'] });
  const { store, leave } = await storeWith(10 * mebibyte);
  await using _store = store;
  const [left, late, held] = [
    await store.uploads.create('a'),
    await store.uploads.create('a'),
    await store.uploads.create('a'),
  ];
  const running = pending(1000);
  const append = store.uploads.append('a', held.id, running.body);
  await running.begun;
  leave(mebibyte / 2);
  await expect(store.uploads.append('a', left.id, body(bytes))).rejects.toMatchObject(full);
  vi.advanceTimersByTime(4 * 60_000);
  await store.uploads.append('a', late.id, body(bytes.subarray(0, 1000)));
  await expect(store.uploads.append('a', late.id, body(bytes))).rejects.toMatchObject(full);
  vi.advanceTimersByTime(60_000);
  await store.uploads.expire(3_600_000);
  await expect(store.uploads.status('a', left.id)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
  expect((await store.uploads.status('a', late.id)).offset).toBe(1000);
  // Nobody was refused since.
  vi.advanceTimersByTime(10 * 60_000);
  await store.uploads.expire(3_600_000);
  await store.uploads.status('a', late.id);
  running.end();
  await append;
});

test('an upload that failed has given back what it announced', async () => {
  const { store } = await storeWith(1.5 * mebibyte);
  await using _store = store;
  const { id } = await store.uploads.create('a');
  const broken: UploadBody = {
    length: mebibyte,
    async *[Symbol.asyncIterator]() {
      yield Buffer.of(1);
      throw new Error('connection lost');
    },
  };
  await expect(store.uploads.append('a', id, broken)).rejects.toThrow('connection lost');
  await expect(store.uploads.append('a', 'none', announced(bytes))).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
  await store.uploads.append('a', id, announced(bytes));
});

test('who announces more than there is room for at all ends nobody else’s upload', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'Date'] });
  const { store } = await storeWith(10 * mebibyte);
  await using _store = store;
  const { id } = await store.uploads.create('a');
  const greedy = Object.assign(body(bytes), { length: 9e15 });
  await expect(store.uploads.append('a', id, greedy)).rejects.toMatchObject(full);
  vi.advanceTimersByTime(10 * 60_000);
  await store.uploads.expire(3_600_000);
  expect((await store.uploads.status('a', id)).offset).toBe(0);
});
