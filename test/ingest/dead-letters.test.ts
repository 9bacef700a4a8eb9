import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Log } from '../../ingest/log.ts';
import { openDeadLetters, type DeadLetter } from '../../ingest/sinks/dead-letters.ts';
import { FaultyFileSystem } from '../support/faulty-fs.ts';
import { quiet } from '../support/log.ts';

const directory = '/data/dead-letters';

function letter(id: string, length = 10): DeadLetter {
  return { id, reason: 'told so', document: JSON.stringify({ message: 'x'.repeat(length) }) };
}

function ids(files: FaultyFileSystem): string[] {
  const texts = [...files.files()].filter(([path]) => path.startsWith(directory)).map(([, bytes]) => bytes.toString());
  const lines = texts.flatMap((text) => text.split('\n').slice(0, -1));
  return lines.map((line) => String(JSON.parse(line).id));
}

async function newFileSystem(seed = 1): Promise<FaultyFileSystem> {
  const files = new FaultyFileSystem({ seed });
  await files.mkdir('/data', { recursive: true });
  const root = await files.open('/', 'r');
  await root.sync();
  return files;
}

async function addTo(files: FaultyFileSystem, ...names: string[]): Promise<void> {
  const letters = await openDeadLetters({ directory, maxBytes: 1e6, log: quiet, fileSystem: files });
  for (const name of names) await letters.add([letter(name)]);
}

test('a line holds id, reason, time and the document as it was', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-dead-'));
  try {
    const path = join(folder, 'dead-letters');
    await using letters = await openDeadLetters({ directory: path, maxBytes: 1e6, log: quiet });
    await letters.add([
      { id: 'a', reason: 'why\n"so"', document: '{"big":12345678901234567890,"n":1.50}' },
      { id: 'b', reason: 'no JSON', document: '{"torn":\n' },
    ]);
    const [name = ''] = await readdir(path);
    const lines = (await readFile(join(path, name), 'utf8')).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('"document":{"big":12345678901234567890,"n":1.50}}');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ id: 'a', reason: 'why\n"so"', at: expect.stringMatching(/Z$/) });
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ id: 'b', document: '{"torn":\n' });
    expect(letters.counts).toEqual({ added: 2, dropped: 0 });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('what was added survives a power cut that loses all that was not synced', async () => {
  const files = await newFileSystem();
  await addTo(files, 'a', 'b', 'c');
  expect(ids(files.crash({ loseAll: true }))).toEqual(['a', 'b', 'c']);
});

test.each(['datasync', 'dirsync'] as const)('without %s they would not survive it', async (sync) => {
  const files = await newFileSystem();
  files.disable(sync);
  await addTo(files, 'a');
  expect(ids(files.crash({ loseAll: true }))).toEqual([]);
});

test('whenever the power goes, what was acknowledged is there, and whole lines are all that counts', async () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const files = await newFileSystem(seed);
    const acknowledged: string[] = [];
    const end = 8 + (seed % 40);
    files.before(({ number }) => (number >= end ? new Error('the power is going') : undefined));
    await (async () => {
      const letters = await openDeadLetters({ directory, maxBytes: 1e6, log: quiet, fileSystem: files });
      for (let at = 0; at < 20; at += 1) {
        await letters.add([letter(`${at}`)]);
        acknowledged.push(`${at}`);
      }
    })().catch(() => undefined);
    const found = ids(files.crash());
    expect(acknowledged.filter((id) => !found.includes(id))).toEqual([]);
  }
});

test('after a failed write or sync the same letters can be added again, in a new file', async () => {
  for (const op of ['writev', 'datasync', 'dirsync', 'open'] as const) {
    const files = await newFileSystem();
    const letters = await openDeadLetters({ directory, maxBytes: 1e6, log: quiet, fileSystem: files });
    if (op !== 'open' && op !== 'dirsync') await letters.add([letter('first')]);
    let fails = 1;
    files.before((call) => (call.op === op && fails-- > 0 ? new Error('EIO') : undefined));
    await expect(letters.add([letter('again')])).rejects.toThrow('EIO');
    await letters.add([letter('again')]);
    expect(ids(files.crash({ loseAll: true }))).toContain('again');
  }
});

test('a short write is written on', async () => {
  const files = await newFileSystem();
  files.before((call) => (call.op === 'writev' && call.length > 7 ? { short: 7 } : undefined));
  await addTo(files, 'a', 'b');
  expect(ids(files.crash({ loseAll: true }))).toEqual(['a', 'b']);
});

test('letters that are added at once keep their order', async () => {
  const files = await newFileSystem();
  const letters = await openDeadLetters({ directory, maxBytes: 1e6, log: quiet, fileSystem: files });
  const names = Array.from({ length: 20 }, (_, index) => `${index}`);
  await Promise.all(names.map((name) => letters.add([letter(name)])));
  expect(ids(files)).toEqual(names);
});

test('beyond the bound the oldest file goes, counted and said aloud; the newest letters stay', async () => {
  const said: object[] = [];
  const log: Log = { ...quiet, error: (fields) => said.push(fields) };
  const files = await newFileSystem();
  const maxBytes = 16_000;
  const letters = await openDeadLetters({ directory, maxBytes, log, fileSystem: files });
  const names = Array.from({ length: 40 }, (_, index) => `${index}`);
  for (const name of names) await letters.add([letter(name, 1000)]);
  const kept = ids(files);
  const { added, dropped } = letters.counts;
  expect(added).toBe(40);
  expect(dropped).toBeGreaterThan(0);
  expect(kept.toSorted()).toEqual(names.slice(dropped).toSorted());
  expect(said.reduce((sum, fields) => sum + ('letters' in fields ? Number(fields.letters) : 0), 0)).toBe(dropped);
  const bytes = [...files.files()].reduce((sum, [, content]) => sum + content.length, 0);
  expect(bytes).toBeLessThanOrEqual(maxBytes);
  expect(bytes).toBeGreaterThan(maxBytes / 2);
});

test('the bound counts what an earlier life left, and a new life never appends to its files', async () => {
  const files = await newFileSystem();
  await addTo(files, 'old');
  const before = new Map(files.files());
  const letters = await openDeadLetters({ directory, maxBytes: 100_000, log: quiet, fileSystem: files });
  await letters.add([letter('new')]);
  for (const [path, bytes] of before) expect(files.files().get(path)).toEqual(bytes);
  await letters.add([letter('big', 100_000)]);
  await letters.add([letter('last')]);
  expect(ids(files)).toEqual(['last']);
});

test('a single letter beyond the bound is kept all the same', async () => {
  const files = await newFileSystem();
  const letters = await openDeadLetters({ directory, maxBytes: 100, log: quiet, fileSystem: files });
  await letters.add([letter('big', 1000)]);
  expect(ids(files)).toEqual(['big']);
});
