import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Driver, UploadLease } from '../../storage/driver.ts';
import { openS3, type S3Options } from '../../storage/drivers/s3.ts';
import { collect, sha256 } from '../support/images.ts';
import { random } from '../support/random.ts';
import { type S3Request, ScriptedS3 } from '../support/scripted-s3.ts';

const part = 8 * 1024 * 1024;
const blob = 'docker/registry/v2/blobs/sha256/00/0000/data';
const uploads = 'docker/registry/v2/_shiplog/uploads';

let s3: ScriptedS3;
let driver: Driver;
beforeEach(async () => {
  s3 = await ScriptedS3.start();
  driver = await openS3(s3.options);
  s3.seen.length = 0;
});
afterEach(async () => {
  await driver[Symbol.asyncDispose]();
  await s3[Symbol.asyncDispose]();
});

/** Another process. */
const another = (options: Partial<S3Options> = {}): Promise<Driver> => openS3({ ...s3.options, ...options });

async function take(from: Driver, id = 'u', options: { target?: string } = {}): Promise<UploadLease> {
  const lease = await from.uploads.open(id, options);
  if (lease === undefined) throw new Error('no such upload');
  return lease;
}

const isRecord = ({ method, key }: S3Request): boolean => method === 'PUT' && key === `${uploads}/u/record`;
const isPart = ({ method, key }: S3Request): boolean => method === 'PUT' && key.includes('/part.');
const keys = (): string[] => [...s3.objects.keys()];

describe('what S3 says', () => {
  test.each([
    ['the bucket is gone', { status: 404, code: 'NoSuchBucket' }],
    ['access is denied', { status: 403, code: 'AccessDenied' }],
    ['a server fails', { status: 500, code: 'InternalError' }],
    ['it asks for patience', { status: 503, code: 'SlowDown' }],
    ['the connection breaks', 'cut'],
  ] as const)('%s: a failure, and never taken for what is not there', async (_, fault) => {
    await driver.put('a/b', Buffer.from('1'));
    s3.script(() => fault);
    for (const call of [
      () => driver.stat('a/b'),
      () => driver.get('a/b', 10),
      () => collect(driver.read('a/b', { start: 0, end: 0 })),
      () => driver.list('a'),
      () => driver.put('a/b', Buffer.from('2')),
      () => driver.delete('a/b'),
      () => driver.move('a/b', 'a/c'),
      () => driver.uploads.create('u', ''),
      () => driver.uploads.state('u'),
      () => driver.uploads.open('u'),
    ]) {
      await expect(call()).rejects.toMatchObject({ name: 'S3Error', code: 'UNAVAILABLE' });
    }
    s3.script(() => undefined);
    expect(await driver.get('a/b', 10)).toEqual(Buffer.from('1'));
  });

  test('nothing listens: a failure that names the reason', async () => {
    const { options } = s3;
    await s3[Symbol.asyncDispose]();
    await expect(driver.stat('a/b')).rejects.toThrow(/ECONNREFUSED/);
    await expect(openS3(options)).rejects.toThrow(/ECONNREFUSED/);
  });

  test('the storage is full: no space', async () => {
    s3.script(() => ({ status: 403, code: 'QuotaExceeded' }));
    await expect(driver.put('a/b', Buffer.from('1'))).rejects.toMatchObject({ code: 'NO_SPACE' });
  });

  test('what fails once is asked again', async () => {
    s3.failOnce(({ method }) => method === 'PUT', { status: 503, code: 'SlowDown' });
    await driver.put('a/b', Buffer.from('1'));
    s3.failOnce(({ method }) => method === 'GET', 'cut');
    expect(await driver.get('a/b', 10)).toEqual(Buffer.from('1'));
  });
});

describe('reading', () => {
  const bytes = random(1).bytes(3_000_000);
  beforeEach(async () => {
    await driver.put('a/b', bytes);
  });

  test.each([[{ start: 0, end: bytes.length - 1 }], [{ start: 1000, end: 2_500_000 }]])(
    'a connection that breaks in the middle is gone on with from there (%o)',
    async (span) => {
      let breaks = 3;
      s3.script(({ method }) => (method === 'GET' && (breaks -= 1) >= 0 ? { cutAfter: 500_000 } : undefined));
      const read = await collect(driver.read('a/b', span));
      expect(sha256(read)).toBe(sha256(bytes.subarray(span.start, span.end + 1)));
    },
  );

  test('a connection that breaks again and again is a failure, not an end', async () => {
    s3.script(({ method }) => (method === 'GET' ? { cutAfter: 1000 } : undefined));
    const read = collect(driver.read('a/b', { start: 0, end: bytes.length - 1 }));
    await expect(read).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('bytes that are not those of the checksum are a failure', async () => {
    const object = s3.objects.get('a/b');
    object?.bytes.fill(0, 2_000_000, 2_000_010);
    const read = collect(driver.read('a/b', { start: 0, end: bytes.length - 1 }));
    await expect(read).rejects.toThrow(/[Cc]hecksum/);
    await expect(driver.get('a/b', bytes.length)).rejects.toThrow(/[Cc]hecksum/);
  });

  test('those who read slowly, however many, keep nobody waiting', async () => {
    const readers = Array.from({ length: 70 }, () => driver.read('a/b', { start: 1, end: bytes.length - 1 }));
    const started = readers.map((reader) => reader[Symbol.asyncIterator]());
    await Promise.all(started.map((iterator) => iterator.next()));
    expect(await driver.stat('a/b')).toEqual({ size: bytes.length });
    await driver.put('a/c', Buffer.from('1'));
    await Promise.all(started.map(async (iterator) => iterator.return?.()));
  });

  test('a body that is not read to its end leaves no request open', async () => {
    for await (const piece of driver.read('a/b', { start: 0, end: bytes.length - 1 })) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    // It would wait for ever if it had to read the rest.
    await driver[Symbol.asyncDispose]();
  });
});

describe('keys', () => {
  test('of a folder the links are deleted first', async () => {
    for (const name of ['a', 'z/link', 'b/c', 'c/link']) await driver.put(`t/${name}`, Buffer.from('1'));
    await driver.delete('t');
    const body = String(s3.seen.find(({ query }) => query.has('delete'))?.body);
    const order = [...body.matchAll(/<Key>([^<]*)</g)].map(([, key]) => key);
    expect(order).toEqual(['t/c/link', 't/z/link', 't/a', 't/b/c']);
  });

  test('a folder of thousands is listed, walked from anywhere, and deleted', async () => {
    const one = { size: 1, bytes: Buffer.from('1'), headers: {}, modified: new Date() };
    for (let number = 0; number < 2500; number += 1) s3.objects.set(`t/${String(number).padStart(4, '0')}/link`, one);
    expect(await driver.list('t')).toHaveLength(2500);
    const walked: string[] = [];
    for await (const { key } of driver.walk('t', 't/0499/link')) walked.push(key);
    expect([walked.length, walked[0], walked.at(-1)]).toEqual([2000, 't/0500/link', 't/2499/link']);
    await driver.delete('t');
    expect(s3.objects.size).toBe(0);
  });

  test('more than S3 copies at once is moved in slices', async () => {
    const size = 6 * 1024 ** 3 + 5;
    s3.objects.set('a/b', { size, bytes: Buffer.alloc(0), headers: {}, modified: new Date() });
    expect(await driver.move('a/b', 'a/c')).toBe(true);
    expect(s3.objects.get('a/c')?.size).toBe(size);
    expect(keys()).toEqual(['a/c']);
  });

  test.each([
    ['other bytes', 'whole', ({ method, key }: S3Request) => method === 'DELETE' && key === 'a/b'],
    ['the same bytes', 'rotten', ({ method, key }: S3Request) => method === 'PUT' && key === 'a/c'],
  ])('a move deletes what it has copied, not %s that were put since', async (_, bytes, isDue) => {
    await driver.put('a/b', Buffer.from('rotten'));
    const old = s3.objects.get('a/b');
    if (old !== undefined) old.modified = new Date(0);
    await using other = await another();
    let due = true;
    s3.script(async (request) => {
      if (!due || !isDue(request)) return undefined;
      due = false;
      await other.put('a/b', Buffer.from(bytes));
      return undefined;
    });
    expect(await driver.move('a/b', 'a/c')).toBe(false);
    expect(await driver.get('a/b', 10)).toEqual(Buffer.from(bytes));
  });

  test('a move whose last answer is lost is done', async () => {
    await driver.put('a/b', Buffer.from('1'));
    s3.failOnce(({ method }) => method === 'DELETE', 'lost');
    expect(await driver.move('a/b', 'a/c')).toBe(true);
    expect(keys()).toEqual(['a/c']);
  });

  test('encryption is asked for with each write, the storage class for blobs that were uploaded', async () => {
    const options = { encryption: 'aws:kms', kmsKeyId: 'a-key', storageClass: 'STANDARD_IA' } as const;
    await using other = await another(options);
    await other.put('a/link', Buffer.from('1'));
    for (const [id, size] of [
      ['u', 5],
      ['v', 9_000_000],
    ] as const) {
      await other.uploads.create(id, '');
      const lease = await take(other, id);
      await lease.append([Buffer.alloc(size)]);
      await lease.commit(`${blob}-${size}`);
    }
    await other.move(`${blob}-5`, `${blob}-moved`);
    const writes = s3.seen.filter(
      ({ method, query }) => (method === 'PUT' && !query.has('uploadId')) || query.has('uploads'),
    );
    for (const { key, headers } of writes) {
      expect(headers['x-amz-server-side-encryption'], key).toBe('aws:kms');
      expect(headers['x-amz-server-side-encryption-aws-kms-key-id'], key).toBe('a-key');
      expect(headers['x-amz-storage-class'], key).toBe(key.startsWith(blob) ? 'STANDARD_IA' : undefined);
    }
    expect(writes.filter(({ key }) => key.startsWith(blob))).toHaveLength(3);
  });
});

describe('uploads', () => {
  const bytes = random(2).bytes(3 * part + 12_345);

  beforeEach(async () => {
    await driver.uploads.create('u', '');
  });

  test.each(['create', 'open', 'save'])(
    'an answer to a conditional write that is lost is no other’s write: %s',
    async (step) => {
      const lose = (): void => s3.failOnce(({ method, key }) => method === 'PUT' && key.endsWith('/record'), 'lost');
      if (step === 'create') lose();
      await driver.uploads.create('v', 'note');
      if (step === 'open') lose();
      const lease = await take(driver, 'v');
      await lease.append([Buffer.from('abc')]);
      if (step === 'save') lose();
      await lease.save('saved');
      expect(await driver.uploads.state('v')).toEqual({ offset: 3, note: 'saved' });
    },
  );

  test('a Complete whose answer is lost is no failure', async () => {
    const lease = await take(driver);
    await lease.append([bytes]);
    s3.failOnce(({ method, query }) => method === 'POST' && query.has('uploadId'), 'lost');
    await lease.commit(blob);
    expect(sha256(await collect(driver.read(blob, { start: 0, end: bytes.length - 1 })))).toBe(sha256(bytes));
  });

  test('parts are sent while the next ones come, and never more than five of them are held', async () => {
    const bytes = random(2).bytes(6 * part + 12_345);
    const lease = await take(driver);
    const gate = Promise.withResolvers<void>();
    s3.script(async (request) => {
      if (isPart(request)) await gate.promise;
      return undefined;
    });
    let taken = 0;
    const appending = (async () => {
      for (let at = 0; at < bytes.length; at += part / 8) {
        await lease.append([bytes.subarray(at, at + part / 8)]);
        taken = Math.min(bytes.length, at + part / 8);
      }
    })();
    await vi.waitFor(() => expect(taken).toBe(5 * part - part / 8), 10_000);
    await vi.waitFor(() => expect(s3.seen.filter(isPart)).toHaveLength(4), 10_000);
    gate.resolve();
    await appending;
    await lease.commit(blob);
    expect(sha256(await collect(driver.read(blob, { start: 0, end: bytes.length - 1 })))).toBe(sha256(bytes));
    expect(keys()).toEqual([blob]);
  });

  test('a part that cannot be sent is given up with all after it, and the upload goes on from before it', async () => {
    const bytes = random(2).bytes(7 * part + 12_345);
    const lease = await take(driver);
    await lease.append([bytes.subarray(0, part + 1000)]);
    await lease.save('first');
    const again = await take(driver);
    s3.script((request) => (isPart(request) ? { status: 500, code: 'InternalError' } : undefined));
    const appending = (async () => {
      for (let at = again.offset; at < bytes.length; at += 100_000)
        await again.append([bytes.subarray(at, at + 100_000)]);
    })();
    await expect(appending).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(again.offset).toBe(part + 1000);
    await again.save('second').catch(() => undefined);
    s3.script(() => undefined);
    const last = await take(driver);
    expect(last.offset).toBe(part + 1000);
    await last.append([bytes.subarray(part + 1000)]);
    await last.commit(blob);
    expect(sha256(await collect(driver.read(blob, { start: 0, end: bytes.length - 1 })))).toBe(sha256(bytes));
  });

  test('an upload that wanders between two processes in steps of any size is one blob, and leaves nothing', async () => {
    await using other = await another();
    const dice = random(7);
    for (let round = 0; round < 3; round += 1) {
      await driver.uploads.create('w', '');
      for (let saved = 0; saved < bytes.length;) {
        const process = dice.chance(0.5) ? driver : other;
        let at = (await process.uploads.state('w'))?.offset ?? -1;
        expect(at).toBeGreaterThanOrEqual(saved);
        const lease = await take(process, 'w');
        expect(lease.offset).toBe(at);
        for (let count = dice.int(3); count > 0; count -= 1) {
          const piece = bytes.subarray(at, at + dice.pick([1, 5000, 300_000, 4_000_000, part, 2 * part]));
          await lease.append([piece]);
          at += piece.length;
        }
        if (dice.chance(0.1)) expect(sha256(await collect(lease.read()))).toBe(sha256(bytes.subarray(0, at)));
        // Else it is taken over: in this process with all its bytes, in the other one with those that were saved.
        if (dice.chance(0.2)) continue;
        await lease.save('');
        saved = at;
      }
      const lease = await take(other, 'w');
      expect(lease.offset).toBe(bytes.length);
      await lease.commit(blob);
      expect(sha256(await collect(driver.read(blob, { start: 0, end: bytes.length - 1 })))).toBe(sha256(bytes));
      expect(keys().filter((key) => key.includes('/w/'))).toEqual([]);
    }
  });

  test('small steps at alternating processes write little more than they bring', async () => {
    await using other = await another();
    for (let at = 0; at < 60; at += 1) {
      const lease = await take(at % 2 === 0 ? driver : other);
      await lease.append([bytes.subarray(at * 10_000, (at + 1) * 10_000)]);
      await lease.save('');
    }
    const written = s3.seen
      .filter(({ key }) => key.includes('/piece.'))
      .reduce((sum, { body }) => sum + body.length, 0);
    expect(written).toBeLessThan(10 * 600_000);
    const lease = await take(other);
    await lease.commit(blob);
    expect(sha256(await collect(driver.read(blob, { start: 0, end: 599_999 })))).toBe(
      sha256(bytes.subarray(0, 600_000)),
    );
  });

  test('who lost the lease to another process can neither save nor commit', async () => {
    await using other = await another();
    const ends = [(lease: UploadLease) => lease.save(''), (lease: UploadLease) => lease.commit(blob)];
    for (const [number, end] of [...ends, ...ends].entries()) {
      const id = `u${number}`;
      await driver.uploads.create(id, '');
      const older = await take(driver, id);
      await older.append([bytes.subarray(0, number < 2 ? 5 : part + 5)]);
      const newer = await take(other, id);
      await expect(end(older)).rejects.toMatchObject({ code: 'UPLOAD_TAKEN_OVER' });
      expect(newer.offset).toBe(0);
      await newer.save('');
    }
    expect(keys()).not.toContain(blob);
  });

  test('what is small is kept by one write, and made a blob by one, without an object of its own', async () => {
    const asked = (): string[] => s3.seen.splice(0).map(({ method, key }) => `${method} ${key.replace(uploads, '…')}`);
    s3.seen.length = 0;
    await driver.uploads.create('v', '');
    expect(asked()).toEqual(['PUT …/v/record']);
    await driver.uploads.state('v');
    const lease = await take(driver, 'v');
    await lease.append([bytes.subarray(0, 1_000_000)]);
    await lease.save('');
    expect(asked()).toEqual(['HEAD …/v/record', 'PUT …/v/record']);
    expect(await driver.uploads.state('v')).toEqual({ offset: 1_000_000, note: '' });
    await (await take(driver, 'v')).commit(blob);
    expect(asked()).toEqual(['HEAD …/v/record', 'HEAD …/v/record', `PUT ${blob}`, 'DELETE …/v/record']);
    expect(s3.objects.get(blob)?.bytes.equals(bytes.subarray(0, 1_000_000))).toBe(true);
  });

  test('a target that is known from the start gets its bytes without a copy', async () => {
    for (const size of [0, 5, part, bytes.length]) {
      await driver.uploads.create('d', '');
      const lease = await take(driver, 'd', { target: blob });
      s3.seen.length = 0;
      await lease.append([bytes.subarray(0, size)]);
      await lease.commit(blob);
      expect(s3.objects.get(blob)?.bytes.equals(bytes.subarray(0, size))).toBe(true);
      expect(s3.seen.filter(({ headers }) => headers['x-amz-copy-source'] !== undefined)).toEqual([]);
      expect(s3.seen.filter(({ key }) => key.includes('/part.') || key.includes('/piece.'))).toEqual([]);
    }
    expect([...s3.multiparts.keys()]).toEqual([]);
  });

  test.each(['save', 'abort', 'take over'])(
    'a direct upload that ends otherwise leaves nothing at the target: %s',
    async (end) => {
      const lease = await take(driver, 'u', { target: blob });
      await lease.append([bytes]);
      expect((await driver.uploads.state('u'))?.offset).toBe(0);
      if (end === 'save') await lease.save('');
      if (end === 'abort') await lease.abort();
      if (end === 'take over') await (await take(driver)).save('');
      expect([...s3.multiparts.keys()]).toEqual([]);
      expect(keys()).toEqual(end === 'abort' ? [] : [`${uploads}/u/record`]);
      if (end !== 'abort') expect((await take(driver)).offset).toBe(0);
    },
  );

  test('a blob of more parts than S3 takes is refused', async () => {
    const text = JSON.parse(String(s3.objects.get(`${uploads}/u/record`)?.bytes));
    await driver.put(
      `${uploads}/u/record`,
      Buffer.from(JSON.stringify({ ...text, parts: [{ generation: 1, count: 10_000 }] })),
    );
    const lease = await take(driver);
    await expect(lease.append([Buffer.from('x')])).rejects.toMatchObject({ code: 'SIZE_INVALID' });
    await lease.abort();
  });

  test('an upload that another one has ended is unknown', async () => {
    await using other = await another();
    const lease = await take(driver);
    await (await take(other)).abort();
    await expect(lease.save('')).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
    expect(await driver.uploads.open('u')).toBeUndefined();
  });

  test('the uploads are listed with the time since something of them was written', async () => {
    const lease = await take(driver);
    await lease.append([bytes.subarray(0, 2_000_000)]);
    await lease.save('note');
    for (const [key, object] of s3.objects)
      object.modified = new Date(Date.now() - (key.includes('/piece.') ? 60_000 : 600_000));
    const listed: { id: string; idle: number; note: string }[] = [];
    for await (const upload of driver.uploads.list()) listed.push(upload);
    expect(listed).toEqual([{ id: 'u', idle: expect.any(Number), note: 'note' }]);
    expect(Math.round((listed[0]?.idle ?? 0) / 10_000)).toBe(6);
  });

  test('what a record holds stays in it, whoever takes the lease, and another process can go on from there', async () => {
    const first = await take(driver);
    await first.append([Buffer.from('abc')]);
    await first.save('');
    await (await take(driver)).append([Buffer.from('def')]);
    const third = await take(driver);
    expect(third.offset).toBe(6);
    using clock = vi.spyOn(performance, 'now');
    clock.mockReturnValue(performance.now() + 2000);
    await third.append([Buffer.from('g')]);
    await using other = await another();
    expect(await other.uploads.state('u')).toMatchObject({ offset: 3 });
    const last = await take(other);
    await last.append([Buffer.from('xyz')]);
    await last.commit(blob);
    expect(await driver.get(blob, 10)).toEqual(Buffer.from('abcxyz'));
    await expect(third.save('')).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
  });

  test('an upload that goes on slowly says so in its record', async () => {
    const lease = await take(driver);
    const now = performance.now();
    using clock = vi.spyOn(performance, 'now');
    clock.mockReturnValue(now + 599_000);
    await lease.append([Buffer.from('a')]);
    const before = s3.seen.filter(isRecord).length;
    clock.mockReturnValue(now + 1_300_000);
    await lease.append([Buffer.from('b')]);
    expect(s3.seen.filter(isRecord)).toHaveLength(before + 1);
    await lease.commit(blob);
    expect(await driver.get(blob, 10)).toEqual(Buffer.from('ab'));
  });
});

describe('memory', () => {
  test('who finds no buffer waits for one; those who send slowly make room', async () => {
    const slow: UploadLease[] = [];
    for (let number = 0; number < 40; number += 1) {
      await driver.uploads.create(`u${number}`, '');
      slow.push(await take(driver, `u${number}`));
    }
    // More than there are buffers, each with a few bytes and then silent.
    await Promise.all(slow.map((lease, number) => lease.append([Buffer.from(`first ${number}, `)])));
    expect(keys().filter((key) => key.includes('/piece.')).length).toBeGreaterThanOrEqual(24);
    await Promise.all(slow.map((lease, number) => lease.append([Buffer.from(`then ${number}`)])));
    await Promise.all(slow.map((lease, number) => lease.commit(`done/${number}`)));
    for (const number of slow.keys()) {
      expect(String(await driver.get(`done/${number}`, 100))).toBe(`first ${number}, then ${number}`);
    }
  }, 60_000);

  test('who takes an upload over with its memory, and is silent, makes room too', async () => {
    const silent: UploadLease[] = [];
    for (let number = 0; number < 12; number += 1) {
      await driver.uploads.create(`u${number}`, '');
      await (await take(driver, `u${number}`)).append([Buffer.from('left')]);
      silent.push(await take(driver, `u${number}`));
    }
    await driver.uploads.create('late', '');
    const late = await take(driver, 'late');
    await late.append([Buffer.from('late')]);
    await late.abort();
    for (const lease of silent) {
      expect(await collect(lease.read())).toEqual(Buffer.from('left'));
      await lease.abort();
    }
  });

  test('many uploads at once that each want more than their share all come to their end', async () => {
    const bytes = random(5).bytes(2 * part + 10);
    const work = Array.from({ length: 24 }, async (_, number) => {
      await driver.uploads.create(`u${number}`, '');
      const lease = await take(driver, `u${number}`);
      for (let at = 0; at < bytes.length; at += part / 4) await lease.append([bytes.subarray(at, at + part / 4)]);
      await lease.commit(`done/${number}`);
    });
    await Promise.all(work);
    for (let number = 0; number < 24; number += 1) {
      expect(s3.objects.get(`done/${number}`)?.bytes.equals(bytes)).toBe(true);
    }
  }, 60_000);
});

describe('a sweep', () => {
  const hour = 3_600_000;

  test('removes the objects of uploads without a record, when they are old', async () => {
    await driver.uploads.create('u', '');
    await driver.put(`${uploads}/orphan/part.1.0`, Buffer.from('1'));
    await driver.sweep(hour);
    expect(keys()).toContain(`${uploads}/orphan/part.1.0`);
    for (const object of s3.objects.values()) object.modified = new Date(Date.now() - 2 * hour);
    await driver.sweep(hour);
    expect(keys()).toEqual([`${uploads}/u/record`]);
  });

  test('ends multipart uploads of blobs that are older than a day, and never those of registry:2', async () => {
    const begun = { old: new Date(Date.now() - 26 * hour), new: new Date(Date.now() - 20 * hour) };
    const theirs = 'docker/registry/v2/repositories/app/_uploads/1/data';
    for (const [id, key, age] of [
      ['1', blob, 'old'],
      ['2', blob, 'new'],
      ['3', theirs, 'old'],
      ['4', `elsewhere/${blob}`, 'old'],
    ] as const) {
      s3.multiparts.set(id, { key, begun: begun[age], parts: new Map() });
    }
    await driver.sweep(hour);
    expect([...s3.multiparts.keys()]).toEqual(['2', '3', '4']);
  });
});
