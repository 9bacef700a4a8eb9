import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { StorageError } from '../../storage/errors.ts';
import type { Store } from '../../storage/store.ts';
import { type Call, fault, FaultyFileSystem, type Verdict } from '../support/faulty-fs.ts';
import { body, collect, sha256, sha512 } from '../support/images.ts';
import { random } from '../support/random.ts';
import { leftoversOf } from './backends.ts';
import { root, runUntil, storeOn } from './power-cut.ts';

const bytes = random(7).bytes(3000);
const digest = sha256(bytes);

/** A client that goes on where the upload is, whatever fails: what it was told, and the blob in the end. */
async function uploadAgain(store: Store, known: { id?: string }, errors: unknown[] = []): Promise<void> {
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    try {
      known.id ??= (await store.uploads.create('a')).id;
      const { offset } = await store.uploads.status('a', known.id);
      if (offset < 1000) await store.uploads.append('a', known.id, body(bytes.subarray(offset, 1000)), offset);
      if (offset < 2000) {
        await store.uploads.append('a', known.id, body(bytes.subarray(Math.max(offset, 1000), 2000)));
      }
      const at = Math.max(offset, 2000);
      await store.uploads.commit('a', known.id, digest, body(bytes.subarray(at)), at);
      return;
    } catch (error) {
      errors.push(error);
      if (error instanceof StorageError && error.code === 'UPLOAD_UNKNOWN') delete known.id;
    }
  }
  throw new Error('still failing', { cause: errors.at(-1) });
}

async function expectBlob(store: Store): Promise<void> {
  expect(sha256(await collect((await store.blobs.open('a', digest)).body))).toBe(digest);
}

async function callsOf(): Promise<Call[]> {
  const files = new FaultyFileSystem();
  await using store = await storeOn(files);
  const calls: Call[] = [];
  files.before((call) => void calls.push(call));
  await uploadAgain(store, {});
  return calls;
}

/** Uploads while one call is given a verdict. */
async function uploadWith(number: number, verdict: Verdict): Promise<{ files: FaultyFileSystem; errors: unknown[] }> {
  const files = new FaultyFileSystem();
  await using store = await storeOn(files);
  files.before((call) => (call.number === number ? verdict : undefined));
  const errors: unknown[] = [];
  await uploadAgain(store, {}, errors);
  await expectBlob(store);
  return { files, errors };
}

describe('a call that fails', () => {
  test('a full disk is told of as such, the upload goes on afterwards, and nothing half-written stays', async () => {
    const grows = new Set(['writev', 'mkdir', 'rename', 'datasync', 'dirsync']);
    const calls = (await callsOf()).filter(({ op }) => grows.has(op));
    expect(calls.length).toBeGreaterThan(10);
    for (const { number, op, path } of calls) {
      const { files, errors } = await uploadWith(number, fault('ENOSPC', op, path));
      for (const error of errors) {
        if (error instanceof StorageError && error.code === 'UPLOAD_UNKNOWN') continue;
        expect(error, `${op} ${path}`).toMatchObject({ code: 'NO_SPACE', message: 'no space left on device' });
      }
      expect(leftoversOf(files), `${op} ${path}`).toEqual([]);
    }
  });

  test('an I/O error is told of as it is, and the upload goes on afterwards', async () => {
    for (const { number, op, path } of await callsOf()) {
      const { errors } = await uploadWith(number, fault('EIO', op, path));
      for (const error of errors) {
        if (error instanceof StorageError && error.code === 'UPLOAD_UNKNOWN') continue;
        expect(error, `${op} ${path}`).toMatchObject({ code: 'EIO' });
      }
    }
  });

  test('a short write is gone on with', async () => {
    for (const { number } of (await callsOf()).filter(({ op }) => op === 'writev')) {
      for (const short of [1, 30]) {
        const { errors } = await uploadWith(number, { short });
        expect(errors).toEqual([]);
      }
    }
  });

  test('bytes whose sync failed are asked for again', async () => {
    const files = new FaultyFileSystem();
    await using store = await storeOn(files);
    const { id } = await store.uploads.create('a');
    await store.uploads.append('a', id, body(bytes.subarray(0, 1000)));
    files.before(({ op, path }) => (op === 'datasync' ? fault('EIO', op, path) : undefined));
    const append = store.uploads.append('a', id, body(bytes.subarray(1000, 2000)));
    await expect(append).rejects.toMatchObject({ code: 'EIO' });
    files.before(undefined);
    expect(await store.uploads.status('a', id)).toEqual({ id, offset: 1000 });
    await store.uploads.commit('a', id, digest, body(bytes.subarray(1000)), 1000);
    await using after = await storeOn(files.crash({ loseAll: true }));
    await expectBlob(after);
  });

  test('what a failure left behind the end of an upload is no part of the blob', async () => {
    const files = new FaultyFileSystem();
    await using store = await storeOn(files);
    const { id } = await store.uploads.create('a');
    files.before(({ op, path }) => (op === 'datasync' ? fault('EIO', op, path) : undefined));
    await expect(store.uploads.append('a', id, body(random(6).bytes(5000)))).rejects.toMatchObject({ code: 'EIO' });
    files.before(undefined);
    await store.uploads.commit('a', id, digest, body(bytes), 0);
    await expectBlob(store);
  });

  test('what a full disk took of a write is given back at once', async () => {
    const files = new FaultyFileSystem();
    await using store = await storeOn(files);
    const { id } = await store.uploads.create('a');
    await store.uploads.append('a', id, body(bytes.subarray(0, 1000)));
    let writes = 0;
    files.before(({ op, path }) => {
      if (op !== 'writev') return undefined;
      writes += 1;
      return writes === 1 ? { short: 700 } : fault('ENOSPC', op, path);
    });
    const append = store.uploads.append('a', id, body(bytes.subarray(1000)));
    await expect(append).rejects.toMatchObject({ code: 'NO_SPACE' });
    const sizes = [...files.files()].filter(([path]) => path.includes('.data.')).map(([, { length }]) => length);
    expect(sizes).toEqual([1000]);
    files.before(undefined);
    await store.uploads.commit('a', id, digest, body(bytes.subarray(1000)), 1000);
    await expectBlob(store);
  });
});

describe('two requests for one upload', () => {
  /** A body that gives some bytes, tells so, and hangs until it is told to give the rest. */
  function hanging(
    first: Uint8Array,
    rest: Uint8Array,
  ): { body: AsyncIterable<Uint8Array>; begun: Promise<void>; goOn: () => void } {
    const { promise: stuck, resolve: goOn } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    async function* pieces(): AsyncGenerator<Uint8Array, void, void> {
      yield* body(first, 100_000);
      begin();
      await stuck;
      yield rest;
    }
    return { body: pieces(), begun, goOn };
  }

  test('one that is mistaken does not end one that is right', async () => {
    await using store = await storeOn(new FaultyFileSystem());
    const { id } = await store.uploads.create('a');
    const { body: slow, begun, goOn } = hanging(bytes.subarray(0, 1000), bytes.subarray(1000));
    const append = store.uploads.append('a', id, slow, 0);
    await begun;
    await expect(store.uploads.append('a', id, body(bytes), 77)).rejects.toMatchObject({ code: 'UPLOAD_OUT_OF_ORDER' });
    goOn();
    expect(await append).toEqual({ id, offset: 3000 });
    await store.uploads.commit('a', id, digest, undefined);
  });

  test('the newer one waits until the older one’s write is over, and hashes nothing again', async () => {
    const files = new FaultyFileSystem();
    await using store = await storeOn(files);
    const large = random(2).bytes(2_400_000);
    const { id } = await store.uploads.create('a');
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const { promise: writing, resolve: begin } = Promise.withResolvers<void>();
    let writes = 0;
    let reads = 0;
    files.before(async ({ op, path }) => {
      if (op === 'read' && path.includes('.data.')) reads += 1;
      if (op !== 'writev' || !path.includes('.data.')) return;
      writes += 1;
      if (writes > 1) return;
      begin();
      await held;
    });
    const { body: slow, goOn } = hanging(large.subarray(0, 1_100_000), random(3).bytes(600_000));
    const older = expect(store.uploads.append('a', id, slow)).rejects.toMatchObject({ code: 'UPLOAD_TAKEN_OVER' });
    await writing;
    const newer = store.uploads.commit('a', id, sha256(large), body(large.subarray(1_000_000)));
    for (let tick = 0; tick < 200; tick += 1) await Promise.resolve();
    expect(writes).toBe(1);
    letGo();
    await newer;
    goOn();
    await older;
    expect(reads).toBe(0);
    expect(sha256(await collect((await store.blobs.open('a', sha256(large))).body))).toBe(sha256(large));
  });
});

describe('the end of the process', () => {
  test('whenever it comes, what was acknowledged is there, and the upload goes on', async () => {
    for (const { number } of await callsOf()) {
      const files = new FaultyFileSystem();
      const store = await storeOn(files);
      let acknowledged = 0;
      let next: FaultyFileSystem | undefined;
      files.before((call) => {
        if (call.number === number) next = files.kill();
      });
      let id: string | undefined;
      try {
        ({ id } = await store.uploads.create('a'));
        acknowledged = (await store.uploads.append('a', id, body(bytes.subarray(0, 1000)))).offset;
        acknowledged = (await store.uploads.append('a', id, body(bytes.subarray(1000, 2000)))).offset;
        await store.uploads.commit('a', id, digest, body(bytes.subarray(2000)));
      } catch (error) {
        if (next === undefined) throw error;
      }
      await using after = await storeOn(next ?? files.kill());
      if (id !== undefined) {
        const status = await after.uploads.status('a', id).catch(() => undefined);
        // Unknown only once it has become a blob.
        if (status === undefined) expect(acknowledged).toBe(2000);
        else expect(status.offset).toBeGreaterThanOrEqual(acknowledged);
      }
      await uploadAgain(after, id === undefined ? {} : { id });
      await expectBlob(after);
    }
  });

  test('an upload that a power cut tore never becomes a wrong blob', async () => {
    let resumed = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const files = new FaultyFileSystem({ seed });
      const store = await storeOn(files);
      const { id } = await store.uploads.create('a');
      await store.uploads.append('a', id, body(bytes));
      // The names are there; it is about the bytes.
      const uploads = `${root}/docker/registry/v2/_shiplog/uploads`;
      for (let path = `${uploads}/${id}`; path !== '/'; path = dirname(path)) {
        const directory = await files.open(path, 'r');
        await directory.sync();
        await directory.close();
      }
      await using after = await storeOn(files.crash());
      try {
        await after.uploads.commit('a', id, digest, undefined);
        resumed += 1;
      } catch (error) {
        expect(error).toMatchObject({ code: 'UPLOAD_UNKNOWN' });
        continue;
      }
      await expectBlob(after);
    }
    expect(resumed).toBeGreaterThan(0);
  });

  test('a power cut at any step of an upload leaves it right or unknown', async () => {
    for (const { number } of await callsOf()) {
      const files = new FaultyFileSystem({ seed: number });
      const known: { id?: string } = {};
      const opened = await storeOn(files);
      const before = files.calls;
      const after = await runUntil(files, before + number, () => uploadAgain(opened, known));
      await using store = await storeOn(after);
      await uploadAgain(store, known);
      await expectBlob(store);
    }
  });
});

describe('two processes on one tree', () => {
  /** How often the bytes of an upload were read so far. */
  function countReads(files: FaultyFileSystem): { reads: number } {
    const count = { reads: 0 };
    files.before(({ op, path }) => {
      if (op === 'read' && path.includes('.data.')) count.reads += 1;
    });
    return count;
  }

  test('an upload is finished elsewhere without being read again', async () => {
    const files = new FaultyFileSystem();
    await using one = await storeOn(files);
    await using two = await storeOn(files);
    const { id } = await one.uploads.create('a');
    await one.uploads.append('a', id, body(bytes));
    const count = countReads(files);
    await two.uploads.commit('a', id, digest, undefined);
    expect(count.reads).toBe(0);
    await expectBlob(one);
  });

  test('an upload that wanders is read again once at most', async () => {
    const files = new FaultyFileSystem();
    const stores = [await storeOn(files), await storeOn(files)] as const;
    const count = countReads(files);
    const { id } = await stores[0].uploads.create('a');
    for (let at = 0; at < bytes.length; at += 500) {
      await stores[(at / 500) % 2 === 0 ? 0 : 1].uploads.append('a', id, body(bytes.subarray(at, at + 500)), at);
    }
    await stores[1].uploads.commit('a', id, digest, undefined);
    expect(count.reads).toBe(1);
    await expectBlob(stores[0]);
  });

  test('who takes over gets what was saved, and is not disturbed by who still writes', async () => {
    const files = new FaultyFileSystem();
    await using one = await storeOn(files);
    await using two = await storeOn(files);
    const { id } = await one.uploads.create('a');
    await one.uploads.append('a', id, body(bytes.subarray(0, 1000)));
    const { promise: stuck, resolve: goOn } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const hanging = async function* (): AsyncGenerator<Uint8Array, void, void> {
      begin();
      await stuck;
      yield random(8).bytes(1_500_000);
    };
    const older = expect(one.uploads.append('a', id, hanging())).rejects.toMatchObject({ code: 'UPLOAD_TAKEN_OVER' });
    await begun;
    await two.uploads.append('a', id, body(bytes.subarray(1000, 2000)), 1000);
    goOn();
    await older;
    await two.uploads.commit('a', id, digest, body(bytes.subarray(2000)), 2000);
    await expectBlob(two);
    expect(leftoversOf(files)).toEqual([]);
  });
});

describe('sha512', () => {
  const long = sha512(bytes);
  const cases: readonly [how: string, options: { algorithm?: 'sha512' }, first: number, reads: number][] = [
    ['announced, and sent in pieces, is hashed as it comes', { algorithm: 'sha512' }, 1000, 0],
    ['known with the whole body is hashed as it comes', {}, 0, 0],
    ['known too late costs one reading of what was there', {}, 1000, 1],
  ];
  test.each(cases)('%s', async (_how, options, first, expected) => {
    const files = new FaultyFileSystem();
    await using store = await storeOn(files);
    let reads = 0;
    files.before(({ op, path }) => {
      if (op === 'read' && path.includes('.data.')) reads += 1;
    });
    const { id } = await store.uploads.create('a', options);
    if (first > 0) await store.uploads.append('a', id, body(bytes.subarray(0, first)));
    await store.uploads.commit('a', id, long, body(bytes.subarray(first)), first);
    expect(reads).toBe(expected);
    expect(sha256(await collect((await store.blobs.open('a', long)).body))).toBe(digest);
  });

  test('announced, the content may still be named by sha256, and be finished elsewhere', async () => {
    const files = new FaultyFileSystem();
    await using one = await storeOn(files);
    await using two = await storeOn(files);
    for (const name of [digest, long]) {
      const { id } = await one.uploads.create('a', { algorithm: 'sha512' });
      await one.uploads.append('a', id, body(bytes.subarray(0, 1000)));
      await two.uploads.append('a', id, body(bytes.subarray(1000, 2000)), 1000);
      await one.uploads.commit('a', id, name, body(bytes.subarray(2000)), 2000);
      expect(sha256(await collect((await two.blobs.open('a', name)).body))).toBe(digest);
    }
  });
});

test('a hash of other bytes than those that are there is not believed, though as many', async () => {
  const files = new FaultyFileSystem();
  await using one = await storeOn(files);
  await using two = await storeOn(files);
  const { id } = await one.uploads.create('a');
  const broken = async function* (): AsyncGenerator<Uint8Array, void, void> {
    yield random(8).bytes(1000);
    // Meanwhile another process takes the upload over, from its start.
    await two.uploads.append('a', id, body(bytes.subarray(0, 1000)), 0);
    throw new Error('connection lost');
  };
  await expect(one.uploads.append('a', id, broken())).rejects.toThrow('connection lost');
  await one.uploads.commit('a', id, digest, body(bytes.subarray(1000)), 1000);
  await expectBlob(one);
});

test('who writes down late that he takes a lease, when others have gone on, gets a later one', async () => {
  const fileSystem = new FaultyFileSystem();
  const [one, two] = [await openDisk({ root, fileSystem }), await openDisk({ root, fileSystem })];
  await one.uploads.create('u', '');
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  const { promise: late, resolve: begin } = Promise.withResolvers<void>();
  let writes = 0;
  fileSystem.before(async ({ op, path }) => {
    if (op !== 'writev' || !path.endsWith('/u')) return;
    writes += 1;
    if (writes > 1) return;
    begin();
    await held;
  });
  const opening = two.uploads.open('u');
  await late;
  await one.uploads.open('u');
  const second = await one.uploads.open('u');
  letGo();
  const third = await opening;
  expect([second?.generation, third?.generation]).toEqual([2, 3]);
  await expect(second?.save('')).rejects.toMatchObject({ code: 'UPLOAD_TAKEN_OVER' });
  await third?.abort();
});

test('no more than two pieces of a body wait in memory', async () => {
  const files = new FaultyFileSystem();
  await using store = await storeOn(files);
  const { id } = await store.uploads.create('a');
  let given = 0;
  let written = 0;
  let most = 0;
  files.before(({ op, path, length }) => {
    if (op === 'writev' && path.includes('.data.')) written += length;
  });
  const large = async function* (): AsyncGenerator<Uint8Array, void, void> {
    for (let piece = 0; piece < 100; piece += 1) {
      most = Math.max(most, given - written);
      given += 100_000;
      yield Buffer.alloc(100_000);
    }
  };
  await store.uploads.append('a', id, large());
  expect(written).toBe(10_000_000);
  expect(most).toBeLessThan(2 * 700_000);
});
