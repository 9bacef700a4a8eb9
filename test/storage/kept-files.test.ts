import { mkdtemp, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KeptFiles } from '../../storage/drivers/kept-files.ts';
import { nodeFileSystem } from '../../storage/drivers/node-file-system.ts';

const [ext4, nfs] = [0xef53, 0x6969] as const;
let folder: string;
let path: string;
let opened = 0;

const files = {
  ...nodeFileSystem,
  open: (...given: Parameters<typeof nodeFileSystem.open>) => {
    opened += 1;
    return nodeFileSystem.open(...given);
  },
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shiplog-kept-files-'));
  path = join(folder, 'link');
  opened = 0;
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(folder, { recursive: true });
});

async function read(kept: KeptFiles, from = path): Promise<string | undefined> {
  const bytes = await kept.read(from, 100);
  return bytes && Buffer.from(bytes).toString();
}

/** A file that was written long ago, and is kept. */
async function settled(): Promise<KeptFiles> {
  const kept = new KeptFiles(files, ext4);
  await writeFile(path, 'one');
  vi.setSystemTime(Date.now() + 10_000);
  expect(await read(kept)).toBe('one');
  // So much later has another time, by the clock of any kernel.
  await sleep(20);
  opened = 0;
  return kept;
}

test('a file that has not changed is not opened again', async () => {
  const kept = await settled();
  expect(await read(kept)).toBe('one');
  expect(await kept.read(path, 2)).toBeUndefined();
  expect(opened).toBe(0);
});

const changes: Record<string, () => Promise<string | undefined>> = {
  'is replaced by another': async () => {
    await writeFile(`${path}.new`, 'two');
    await rename(`${path}.new`, path);
    return 'two';
  },
  'is replaced by another of the same time': async () => {
    const { atime, mtime } = await stat(path);
    await writeFile(`${path}.new`, 'two');
    await utimes(`${path}.new`, atime, mtime);
    await rename(`${path}.new`, path);
    return 'two';
  },
  'is written over, as registry:2 does it': async () => {
    await writeFile(path, 'two');
    return 'two';
  },
  'is written over and given its time of before': async () => {
    const { atime, mtime } = await stat(path);
    await writeFile(path, 'two');
    await utimes(path, atime, mtime);
    return 'two';
  },
  'is removed': async () => {
    await rm(path);
    return undefined;
  },
};
test.each(Object.entries(changes))('a file that %s is so at once', async (_, change) => {
  const kept = await settled();
  const now = await change();
  expect(await read(kept)).toBe(now);
  expect(await read(kept)).toBe(now);
});

test('what was changed at the time of its reading is read again each time', async () => {
  const kept = new KeptFiles(files, ext4);
  await writeFile(path, 'one');
  for (let n = 0; n < 3; n += 1) expect(await read(kept)).toBe('one');
  expect(opened).toBe(3);
});

test('where a look may answer from a memory, as on NFS, each file is opened each time', async () => {
  const kept = new KeptFiles(files, nfs);
  await writeFile(path, 'one');
  vi.setSystemTime(Date.now() + 10_000);
  for (let n = 0; n < 3; n += 1) expect(await read(kept)).toBe('one');
  expect(opened).toBe(3);
});

test('only so many bytes are kept, of the files that were asked for last', async () => {
  const kept = new KeptFiles(files, ext4);
  const paths = Array.from({ length: 300 }, (_, n) => join(folder, String(n)));
  for (const one of paths) await writeFile(one, Buffer.alloc(60_000));
  vi.setSystemTime(Date.now() + 10_000);
  for (const one of paths) await kept.read(one, 100_000);
  opened = 0;
  const [first = '', last = ''] = [paths[0], paths.at(-1)];
  await kept.read(last, 100_000);
  expect(opened).toBe(0);
  await kept.read(first, 100_000);
  expect(opened).toBe(1);
});
