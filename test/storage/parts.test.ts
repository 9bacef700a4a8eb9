import { describe, expect, test } from 'vitest';
import { BoundedMap } from '../../storage/bounded-map.ts';
import { digestOf, parseDigest } from '../../storage/digest.ts';
import { Durability } from '../../storage/drivers/durability.ts';
import { asSavedHash, RunningHash } from '../../storage/hash.ts';
import { KeyedLock } from '../../storage/lock.ts';
import { isName, isTag, parseReference } from '../../storage/names.ts';
import { FaultyFileSystem } from '../support/faulty-fs.ts';
import { random } from '../support/random.ts';

describe('names', () => {
  test.each(['a', '0', 'a/b', 'a.b/c_d/e__f/g-h/i---j', 'library/ubuntu', 'a'.repeat(255)])(
    '%s is a repository',
    (name) => {
      expect(isName(name)).toBe(true);
    },
  );

  test.each([
    '',
    'A',
    'a//b',
    '/a',
    'a/',
    '.a',
    'a.',
    'a..b',
    'a___b',
    '-a',
    'a-',
    'a_-b',
    '..',
    'a/..',
    'a\n',
    'ａ',
    'a'.repeat(256),
  ])('%j is none', (name) => {
    expect(isName(name)).toBe(false);
  });

  test.each(['latest', '_', '1.0', 'A-b.C_d', 'x'.repeat(128)])('%s is a tag', (tag) => {
    expect(isTag(tag)).toBe(true);
    expect(parseReference(tag)).toBe(tag);
  });

  test.each(['', '.', '-', '.a', 'a/b', 'a b', 'a\n', 'é', 'x'.repeat(129)])('%j is no tag', (tag) => {
    expect(isTag(tag)).toBe(false);
  });

  test.each([
    `sha256:${'0'.repeat(63)}`,
    `sha256:${'0'.repeat(65)}`,
    `sha512:${'0'.repeat(64)}`,
    `SHA256:${'0'.repeat(64)}`,
  ])('%s is no digest', (digest) => {
    expect(() => parseDigest(digest)).toThrow(expect.objectContaining({ code: 'DIGEST_INVALID' }));
    expect(() => parseReference(digest)).toThrow(expect.objectContaining({ code: 'DIGEST_INVALID' }));
  });
});

describe.each(['sha256', 'sha512'] as const)('a running %s', (algorithm) => {
  const bytes = random(4).bytes(1000);
  const digest = (end: number): string => digestOf(bytes.subarray(0, end), algorithm);

  test('says the digest so far, and goes on', async () => {
    for (const hash of [RunningHash.start(algorithm), await RunningHash.movable(algorithm)]) {
      for (const end of [0, 1, 64, 65, 129, 700, 1000]) {
        hash.update([bytes.subarray(hash.length, end)]);
        expect(hash.save()).toMatchObject({ length: end, digest: digest(end) });
      }
    }
  });

  test('goes on elsewhere from its state, as JSON keeps it', async () => {
    const hash = await RunningHash.movable(algorithm);
    hash.update([bytes.subarray(0, 333)]);
    const saved = asSavedHash(JSON.parse(JSON.stringify(hash.save())));
    const other = saved && (await RunningHash.resume(saved));
    expect(other?.length).toBe(333);
    other?.update([bytes.subarray(333)]);
    expect(other?.save().digest).toBe(digest(1000));
  });

  test('without its state, it goes on nowhere else', async () => {
    expect(await RunningHash.resume(RunningHash.start(algorithm).save())).toBeUndefined();
  });
});

describe('a keyed lock', () => {
  test('who has a key alone runs beside nobody; who shares it runs beside others; each in turn', async () => {
    const lock = new KeyedLock();
    const running = new Set<string>();
    const seen: string[] = [];
    const work = (name: string) => async (): Promise<void> => {
      running.add(name);
      seen.push([...running].join());
      for (let tick = 0; tick < 20; tick += 1) await Promise.resolve();
      running.delete(name);
    };
    await Promise.all([
      lock.shared('k', work('s1')),
      lock.shared('k', work('s2')),
      lock.alone('k', work('a1')),
      lock.alone('k', work('a2')),
      lock.shared('k', work('s3')),
      lock.shared('k', work('s4')),
      lock.alone('other', work('o')),
    ]);
    expect(seen.filter((names) => !names.includes('o'))).toEqual(['s1', 's1,s2', 'a1', 'a2', 's3', 's3,s4']);
  });

  test('work that fails lets the next one in', async () => {
    const lock = new KeyedLock();
    const failing = lock.alone('k', () => Promise.reject(new Error('no')));
    const next = lock.alone('k', async () => 'done');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('done');
  });
});

test('a bounded map gives up what was not asked for the longest', () => {
  const map = new BoundedMap<string, number>(2);
  map.set('a', 1);
  map.set('b', 2);
  expect(map.get('a')).toBe(1);
  map.set('c', 3);
  expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([1, undefined, 3]);
});

describe('syncs of a directory', () => {
  async function tree(): Promise<{ files: FaultyFileSystem; durability: Durability }> {
    const files = new FaultyFileSystem();
    await files.mkdir('/root/d', { recursive: true });
    return { files, durability: new Durability(files, '/root') };
  }

  async function create(files: FaultyFileSystem, path: string): Promise<void> {
    await (await files.open(path, 'w')).close();
  }

  test('one that has begun does not answer for a name that came later', async () => {
    const { files, durability } = await tree();
    await create(files, '/root/d/early');
    await durability.settle('/root/d/early');
    const { promise: stuck, resolve: goOn } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    await create(files, '/root/d/first');
    // What a sync covers is fixed when it begins; here it ends late.
    let held = false;
    files.before(async ({ op }) => {
      if (op !== 'close' || held) return;
      held = true;
      begin();
      await stuck;
    });
    const first = durability.settle('/root/d/first');
    await begun;
    await create(files, '/root/d/second');
    const second = durability.settle('/root/d/second');
    goOn();
    await Promise.all([first, second]);
    await durability.sync('/root');
    await durability.sync('/');
    expect([...files.crash({ loseAll: true }).files().keys()]).toEqual([
      '/root/d/early',
      '/root/d/first',
      '/root/d/second',
    ]);
  });

  test('those that wait at the same time share one', async () => {
    const { files, durability } = await tree();
    const paths = Array.from({ length: 20 }, (_, number) => `/root/d/${number}`);
    for (const path of paths) await create(files, path);
    let syncs = 0;
    files.before(({ op, path }) => {
      if (op === 'dirsync' && path === '/root/d') syncs += 1;
    });
    await Promise.all(paths.map((path) => durability.settle(path)));
    expect(syncs).toBeLessThanOrEqual(3);
    await durability.sync('/');
    expect(files.crash({ loseAll: true }).files().size).toBe(20);
  });

  test('one that fails fails for all who waited for it, and is not remembered', async () => {
    const { files, durability } = await tree();
    await create(files, '/root/d/file');
    files.before(({ op, path }) => (op === 'dirsync' ? new Error(`cannot sync ${path}`) : undefined));
    const settles = [durability.settle('/root/d/file'), durability.settle('/root/d/file')];
    for (const { status } of await Promise.allSettled(settles)) expect(status).toBe('rejected');
    files.before(undefined);
    await durability.settle('/root/d/file');
    await durability.sync('/');
    expect([...files.crash({ loseAll: true }).files().keys()]).toEqual(['/root/d/file']);
  });

  test('what another process has made anew is synced anew', async () => {
    const { files, durability } = await tree();
    await create(files, '/root/d/file');
    await durability.settle('/root/d/file');
    await durability.sync('/');
    await files.unlink('/root/d/file');
    await files.rmdir('/root/d');
    await durability.sync('/root');
    await create(files, '/root/new');
    await durability.place('/root/new', '/root/d/file');
    await durability.settleNew('/root/d/file', await files.stat('/root/d/file'));
    expect([...files.crash({ loseAll: true }).files().keys()]).toEqual(['/root/d/file']);
  });
});
