import { afterEach, describe, expect, test, vi } from 'vitest';
import { findDamage } from '../../storage/damage.ts';
import { type Digest, parseDigest } from '../../storage/digest.ts';
import { openDisk } from '../../storage/drivers/disk.ts';
import type { Driver } from '../../storage/driver.ts';
import { blobKey, layerLink, quarantineFolder, quarantineKey, scrubKey } from '../../storage/layout.ts';
import { parseName } from '../../storage/names.ts';
import { lostBlobs, scrub, type ScrubOptions, type ScrubResult } from '../../storage/scrub.ts';
import { openStore, type Store } from '../../storage/store.ts';
import { fault, FaultyFileSystem } from '../support/faulty-fs.ts';
import { blob, image, index, pushBlob, pushImage, sha512, type TestImage } from '../support/images.ts';
import { faults, root, storeOn } from './power-cut.ts';

const [one, two, three] = [
  image({ seed: 1, layerSizes: [3000, 700] }),
  image({ seed: 2, layerSizes: [1500] }),
  image({ seed: 3, layerSizes: [] }),
];

afterEach(() => {
  vi.useRealTimers();
});

interface Tree {
  readonly files: FaultyFileSystem;
  readonly driver: Driver;
  readonly store: Store;
}

/** A tree with images in it. */
async function tree(files = new FaultyFileSystem()): Promise<Tree> {
  const driver = await openDisk({ root, fileSystem: files });
  const store = await openStore({ driver, indexMaxAge: 0 });
  await pushImage(store, 'a', one, 'v1');
  await pushImage(store, 'a', two, 'v2');
  await pushImage(store, 'b', three, 'v1');
  return { files, driver, store };
}

function run(driver: Driver, options: Partial<ScrubOptions> = {}): Promise<ScrubResult> {
  return scrub(driver, { rate: 1e12, signal: new AbortController().signal, ...options });
}

/** Turns a bit of what lies at a key. */
async function rot(files: FaultyFileSystem, key: string): Promise<void> {
  const handle = await files.open(`${root}/${key}`, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, 10);
  byte[0] = (byte[0] ?? 0) ^ 4;
  await handle.writev([byte], 10);
  await handle.datasync();
  await handle.close();
}

function key({ digest }: { digest: string }): string {
  return blobKey(parseDigest(digest));
}

const layer = one.layers[0] ?? one.config;

test('a sound store is read whole, and nothing of it changes', async () => {
  const { files, driver } = await tree();
  const before = files.files();
  const count = [one, two, three].flatMap(({ manifest, config, layers }) => [manifest, config, ...layers]);
  expect(await run(driver)).toEqual({
    finished: true,
    read: { blobs: count.length, bytes: count.reduce((sum, { bytes }) => sum + bytes.length, 0) },
    rotten: [],
    restored: [],
    odd: [],
  });
  expect(files.files()).toEqual(before);
  expect(await lostBlobs(driver)).toEqual(new Set());
});

describe('a rotten blob', () => {
  test.each<[what: string, spoil: (files: FaultyFileSystem, driver: Driver) => Promise<void>]>([
    ['a bit of which has turned', (files) => rot(files, key(layer))],
    ['that was cut', (_files, driver) => driver.put(key(layer), layer.bytes.subarray(0, 100))],
    ['that was emptied', (_files, driver) => driver.put(key(layer), Buffer.alloc(0))],
    [
      'that the disk cannot read',
      async (files) => {
        const spot = new RegExp(`/(?:blobs|quarantine)/.*${layer.digest.slice(7)}`);
        files.before(({ op, path }) => (op === 'read' && spot.test(path) ? fault('EIO', op, path) : undefined));
      },
    ],
  ])('%s is put aside and unknown, and the next push heals its image', async (_what, spoil) => {
    const { files, driver, store } = await tree();
    await spoil(files, driver);
    expect((await run(driver)).rotten).toEqual([layer.digest]);
    await expect(store.blobs.stat('a', layer.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
    expect(await driver.stat(quarantineKey(parseDigest(layer.digest)))).toBeDefined();
    expect(await lostBlobs(driver)).toEqual(new Set([layer.digest]));
    files.before(undefined);
    await pushImage(store, 'a', one, 'v1');
    expect(await lostBlobs(driver)).toEqual(new Set());
    expect(await faults(files.kill(), new Map([['a v1', [one]]]))).toEqual([]);
  });

  test('that was pushed again is dropped from the quarantine', async () => {
    const { files, driver, store } = await tree();
    await rot(files, key(layer));
    await run(driver);
    await pushBlob(store, 'a', layer);
    expect((await run(driver)).rotten).toEqual([]);
    expect(await driver.list(`${quarantineFolder}/sha256`)).toEqual([]);
  });

  test('that was not is told of again, and stays there', async () => {
    const { files, driver } = await tree();
    await rot(files, key(layer));
    await run(driver);
    expect(await run(driver)).toMatchObject({ finished: true, rotten: [], restored: [] });
    expect(await lostBlobs(driver)).toEqual(new Set([layer.digest]));
  });

  test('stays where it is, told of, when nothing may be changed', async () => {
    const { files, driver } = await tree();
    const spot = new RegExp(`/blobs/.*(?:${layer.digest.slice(7)}|${three.manifest.digest.slice(7)})`);
    await driver.put(scrubKey, Buffer.from(`${key(layer)}~`));
    await driver.put(quarantineKey(parseDigest(two.config.digest)), two.config.bytes);
    files.before(({ op, path }) => (op === 'read' && spot.test(path) ? fault('EIO', op, path) : undefined));
    const before = files.files();
    const rotten = [layer.digest, three.manifest.digest].map(parseDigest);
    const result = await run(driver, { readOnly: true });
    expect(result).toMatchObject({ finished: true, read: { blobs: 9 }, restored: [] });
    expect(new Set(result.rotten)).toEqual(new Set(rotten));
    expect(await findDamage(driver, new Set(rotten))).toEqual([
      { name: 'a', tags: ['v1'], untagged: [] },
      { name: 'b', tags: ['v1'], untagged: [] },
    ]);
    const ending = new AbortController();
    const onBlob = (): void => ending.abort();
    const broken = await run(driver, { readOnly: true, rate: 1, signal: ending.signal, onBlob });
    expect(broken.finished).toBe(false);
    expect(files.files()).toEqual(before);
  });

  test('by sha512 is found too', async () => {
    const { files, driver, store } = await tree();
    const digest = sha512(layer.bytes);
    await pushBlob(store, 'a', { ...layer, digest });
    await rot(files, key({ digest }));
    expect((await run(driver)).rotten).toEqual([digest]);
  });
});

test('a reading that fails once condemns nothing', async () => {
  const { files, driver } = await tree();
  let failed = false;
  files.before(({ op, path }) => {
    if (failed || op !== 'read' || !path.includes('/blobs/')) return undefined;
    failed = true;
    return fault('EIO', op, path);
  });
  expect(await run(driver)).toMatchObject({ finished: true, rotten: [], restored: [] });
  expect(failed).toBe(true);
});

test.each<[what: string, isRotten: boolean]>([
  ['a rotten blob is put aside', true],
  ['a whole blob stays', false],
])('%s, though the driver complains of it at its end', async (_what, isRotten) => {
  const { files, driver } = await tree();
  if (isRotten) await rot(files, key(layer));
  const read = driver.read.bind(driver);
  driver.read = async function* (where, span) {
    yield* read(where, span);
    if (where.includes(layer.digest.slice(7))) throw new Error('the checksum is another one');
  };
  expect(await run(driver)).toMatchObject({ finished: true, rotten: isRotten ? [layer.digest] : [], restored: [] });
});

test('a failure that is not the blob’s ends the scrub, and nothing is put aside', async () => {
  const { files, driver } = await tree();
  files.before(({ op, path }) => (op === 'read' && path.includes('/blobs/') ? fault('EACCES', op, path) : undefined));
  await expect(run(driver)).rejects.toMatchObject({ code: 'EACCES' });
  files.before(undefined);
  expect(await driver.list(quarantineFolder)).toEqual([]);
});

test('what is no blob by its name is told of, and left alone', async () => {
  const { files, driver } = await tree();
  const hex = layer.digest.slice(7);
  const odd = [
    `blobs/sha256/${hex.slice(0, 2)}/${hex}/data.tmp`,
    `blobs/sha256/00/${hex}/data`,
    `blobs/md5/00/${'0'.repeat(32)}/data`,
    'blobs/stray',
  ].map((path) => `docker/registry/v2/${path}`);
  for (const path of odd) await driver.put(path, Buffer.from('x'));
  const before = files.files();
  expect((await run(driver)).odd).toEqual(odd.toSorted());
  expect(files.files()).toEqual(before);
});

describe('a push that heals a rotten blob beside a scrub', () => {
  test('at each call of the scrub leaves it whole, and its image too', async () => {
    let interleaved = true;
    for (let stop = 1; interleaved; stop += 1) {
      interleaved = false;
      const { files, driver } = await tree();
      const other = await storeOn(files);
      await rot(files, key(layer));
      const begun = files.calls;
      files.before(async ({ number }) => {
        if (interleaved || number !== begun + stop) return;
        interleaved = true;
        await pushImage(other, 'a', one, 'v1');
      });
      await run(driver);
      files.before(undefined);
      if (!interleaved) continue;
      expect(await lostBlobs(driver), `at call ${stop}`).toEqual(new Set());
      expect(await faults(files.kill(), new Map([['a v1', [one]]])), `at call ${stop}`).toEqual([]);
    }
  });

  test.each(['kill', 'crash'] as const)(
    'just ahead of the move, and a %s at any call after it: the next scrub makes the image whole',
    async (end) => {
      for (let stop = 1; ; stop += 1) {
        const { files, driver } = await tree();
        const other = await storeOn(files);
        await rot(files, key(layer));
        const ended: { next?: FaultyFileSystem } = {};
        let [moves, since] = [false, 0];
        files.before(async ({ op, path }) => {
          if (since > 0) since += 1;
          if (since === stop + 1) ended.next = files[end]();
          if (moves || op !== 'rename' || !path.includes('/quarantine/')) return;
          moves = true;
          await pushImage(other, 'a', one, 'v1');
          since = 1;
        });
        await run(driver).catch(() => undefined);
        files.before(undefined);
        if (ended.next === undefined) {
          expect(stop).toBeGreaterThan(10);
          return;
        }
        await using next = await openDisk({ root, fileSystem: ended.next });
        await run(next, { restart: true });
        expect(await lostBlobs(next), `at call ${stop}`).toEqual(new Set());
        expect(await faults(ended.next, new Map([['a v1', [one]]])), `at call ${stop}`).toEqual([]);
      }
    },
  );

  test('two scrubs at once leave what is whole, and put aside what is not', async () => {
    let interleaved = true;
    for (let stop = 1; interleaved; stop += 1) {
      interleaved = false;
      const { files, driver } = await tree();
      await using other = await openDisk({ root, fileSystem: files });
      await rot(files, key(layer));
      const begun = files.calls;
      files.before(async ({ number }) => {
        if (interleaved || number !== begun + stop) return;
        interleaved = true;
        await run(other);
      });
      await run(driver);
      files.before(undefined);
      expect(await lostBlobs(driver)).toEqual(new Set([layer.digest]));
      const promises = new Map([
        ['a v2', [two]],
        ['b v1', [three]],
      ]);
      expect(await faults(files.kill(), promises), `at call ${stop}`).toEqual([]);
    }
  });
});

describe('a scrub that is broken off', () => {
  test('goes on where it was, and a restart does not', async () => {
    const { driver } = await tree();
    const seen: Digest[] = [];
    const stopping = new AbortController();
    const onBlob = (digest: Digest): void => {
      seen.push(digest);
      if (seen.length === 3) stopping.abort();
    };
    const first = await run(driver, { signal: stopping.signal, onBlob });
    expect(first).toMatchObject({ finished: false, read: { blobs: 3 } });
    const rest: Digest[] = [];
    const last = await run(driver, { onBlob: (digest) => void rest.push(digest) });
    expect(last.finished).toBe(true);
    expect([...seen, ...rest]).toEqual([...new Set([...seen, ...rest])].toSorted());
    expect(first.read.blobs + last.read.blobs).toBe(9);
    expect(await driver.stat(scrubKey)).toBeUndefined();

    await run(driver, { signal: AbortSignal.abort() });
    await driver.put(scrubKey, Buffer.from(key(layer)));
    expect((await run(driver, { restart: true })).read.blobs).toBe(9);
  });

  test('saves its position now and then, for when it is killed', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { files, driver } = await tree();
    let seen = 0;
    let next: FaultyFileSystem | undefined;
    const onBlob = (): void => {
      seen += 1;
      vi.advanceTimersByTime(6000);
      if (seen === 5) next = files.kill();
    };
    await expect(run(driver, { onBlob })).rejects.toMatchObject({ code: 'EIO' });
    if (next === undefined) throw new Error('it was not killed');
    await using after = await openDisk({ root, fileSystem: next });
    expect((await run(after)).read.blobs).toBe(9 - 4);
  });
});

describe('the damage', () => {
  const damage = async (driver: Driver): Promise<unknown> => findDamage(driver, await lostBlobs(driver));

  test.each<[what: string, spoiled: { digest: string }, expected: object[]]>([
    ['a layer', layer, [{ name: 'a', tags: ['v1'], untagged: [] }]],
    ['a config', two.config, [{ name: 'a', tags: ['v2'], untagged: [] }]],
    ['a manifest', three.manifest, [{ name: 'b', tags: ['v1'], untagged: [] }]],
  ])('of a rotten %s is told by repository and tag', async (_what, spoiled, expected) => {
    const { files, driver } = await tree();
    expect(await damage(driver)).toEqual([]);
    await rot(files, key(spoiled));
    await run(driver);
    expect(await damage(driver)).toEqual(expected);
  });

  test('of a layer reaches through indexes, to every repository and every tag', async () => {
    const { files, driver, store } = await tree();
    const inner = index([one, two]);
    const outer = blob(inner.mediaType, {
      schemaVersion: 2,
      mediaType: inner.mediaType,
      manifests: [{ mediaType: inner.mediaType, digest: inner.digest, size: inner.bytes.length }],
    });
    await pushAs(store, 'multi', [one, two]);
    await store.manifests.put('multi', inner.digest, inner.bytes);
    await store.manifests.put('multi', 'all', outer.bytes);
    await store.manifests.put('multi', 'two', two.manifest.bytes);
    await pushImage(store, 'b', one);
    await rot(files, key(layer));
    await run(driver);
    expect(await damage(driver)).toEqual([
      { name: 'a', tags: ['v1'], untagged: [] },
      { name: 'b', tags: [], untagged: [one.manifest.digest] },
      { name: 'multi', tags: ['all'], untagged: [] },
    ]);
  });

  test('of a blob reaches those that named it by the sha512 of which registry:2 made an alias', async () => {
    const { files, driver, store } = await tree();
    const alias = sha512(layer.bytes);
    const manifest = blob(one.manifest.mediaType, {
      schemaVersion: 2,
      mediaType: one.manifest.mediaType,
      config: { mediaType: one.config.mediaType, digest: one.config.digest, size: one.config.bytes.length },
      layers: [{ mediaType: layer.mediaType, digest: alias, size: layer.bytes.length }],
    });
    await pushBlob(store, 'c', one.config);
    await driver.put(layerLink(parseName('c'), parseDigest(alias)), Buffer.from(layer.digest));
    await store.manifests.put('c', 'v1', manifest.bytes);
    await rot(files, key(layer));
    await run(driver);
    expect(await damage(driver)).toContainEqual({ name: 'c', tags: ['v1'], untagged: [] });
  });

  /** Pushes images to a repository without a tag. */
  async function pushAs(store: Store, name: string, images: readonly TestImage[]): Promise<void> {
    for (const one of images) await pushImage(store, name, one);
  }
});
