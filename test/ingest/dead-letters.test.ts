import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Bulk, SinkDocument } from '../../ingest/bulk.ts';
import type { Log } from '../../ingest/log.ts';
import type { DeadLetter } from '../../ingest/sinks/dead-letter-lines.ts';
import { type DeadLetterOptions, openDeadLetters, type DeadLetters } from '../../ingest/sinks/dead-letters.ts';
import { replay } from '../../ingest/sinks/dead-letter-replay.ts';
import { type Outcome, SinkError } from '../../ingest/sinks/sink.ts';
import { document, noon } from '../support/documents.ts';
import { FaultyFileSystem } from '../support/faulty-fs.ts';
import { quiet } from '../support/log.ts';
import { Machine } from '../support/spool.ts';

const directory = '/data/dead-letters';

const { takeLock } = new Machine();

function open(options: Omit<DeadLetterOptions, 'directory'>): Promise<DeadLetters> {
  return openDeadLetters({ directory, takeLock, ...options });
}

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
  const letters = await open({ maxBytes: 1e6, log: quiet, fileSystem: files });
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
    const name = (await readdir(path)).find((name) => name.endsWith('.ndjson')) ?? '';
    const lines = (await readFile(join(path, name), 'utf8')).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('"document":{"big":12345678901234567890,"n":1.50}}');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ id: 'a', reason: 'why\n"so"', at: expect.stringMatching(/Z$/) });
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ id: 'b', document: '{"torn":\n' });
    expect(letters.counts).toEqual({ added: 2, removed: 0, dropped: 0 });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the locks of lives that ended go, those of others stay', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-dead-'));
  try {
    const path = join(folder, 'dead-letters');
    const options = { directory: path, maxBytes: 1e6, log: quiet };
    const locks = async (): Promise<string[]> => (await readdir(path)).filter((name) => name.endsWith('.lock'));
    await using _other = await openDeadLetters(options);
    const [held = ''] = await locks();
    await writeFile(join(path, 'killed.lock'), '');
    {
      await using _one = await openDeadLetters(options);
      expect(await locks()).toHaveLength(2);
      expect(await locks()).not.toContain('killed.lock');
    }
    expect(await locks()).toEqual([held]);
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
      const letters = await open({ maxBytes: 1e6, log: quiet, fileSystem: files });
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
    const letters = await open({ maxBytes: 1e6, log: quiet, fileSystem: files });
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
  const letters = await open({ maxBytes: 1e6, log: quiet, fileSystem: files });
  const names = Array.from({ length: 20 }, (_, index) => `${index}`);
  await Promise.all(names.map((name) => letters.add([letter(name)])));
  expect(ids(files)).toEqual(names);
});

test('beyond the bound the oldest file goes, counted and said aloud; the newest letters stay', async () => {
  const said: object[] = [];
  const log: Log = { ...quiet, error: (fields) => said.push(fields) };
  const files = await newFileSystem();
  const maxBytes = 16_000;
  const letters = await open({ maxBytes, log, fileSystem: files });
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
  const letters = await open({ maxBytes: 100_000, log: quiet, fileSystem: files });
  await letters.add([letter('new')]);
  for (const [path, bytes] of before) expect(files.files().get(path)).toEqual(bytes);
  await letters.add([letter('big', 100_000)]);
  await letters.add([letter('last')]);
  expect(ids(files)).toEqual(['last']);
});

test('a single letter beyond the bound is kept all the same', async () => {
  const files = await newFileSystem();
  const letters = await open({ maxBytes: 100, log: quiet, fileSystem: files });
  await letters.add([letter('big', 1000)]);
  expect(ids(files)).toEqual(['big']);
});

async function kept(letters: DeadLetters): Promise<string[]> {
  return (await Array.fromAsync(letters.read())).map(({ id }) => id);
}

test('what is kept is read as it was added, also what earlier lives left; torn lines are passed over', async () => {
  const files = await newFileSystem();
  await addTo(files, 'old');
  const torn = await files.open(`${directory}/00000000000000001-torn.ndjson`, 'wx');
  await torn.writev([Buffer.from('{"id":"torn"')], 0);
  await torn.close();
  const letters = await open({ maxBytes: 1e6, log: quiet, fileSystem: files });
  const document = '{"n":1.50,"text":",\\"document\\":{}"}';
  const odd = { id: 'odd', reason: '","at":"x","document":{', document };
  await letters.add([odd, letter('new')]);
  const found = await Array.fromAsync(letters.read());
  expect(found.map(({ id }) => id).toSorted()).toEqual(['new', 'odd', 'old']);
  expect(found.find(({ id }) => id === 'odd')).toEqual({ ...odd, at: expect.stringMatching(/Z$/) });
});

test('letters are removed one by one or all at once, durably, and the others stay', async () => {
  const files = await newFileSystem();
  const machine = new Machine();
  const options = { maxBytes: 1e6, log: quiet, takeLock: machine.takeLock };
  const before = await open({ ...options, fileSystem: files });
  await before.add(['a', 'b'].map((id) => letter(id)));
  const next = files.kill();
  machine.processDied();
  const letters = await open({ ...options, fileSystem: next });
  await letters.add(['c', 'd'].map((id) => letter(id)));
  expect(await letters.remove(new Set(['a', 'd', 'nobody']))).toBe(2);
  expect((await kept(letters)).toSorted()).toEqual(['b', 'c']);
  await letters.add([letter('e')]);
  expect(letters.counts).toEqual({ added: 3, removed: 2, dropped: 0 });
  expect(ids(next.crash({ loseAll: true })).toSorted()).toEqual(['b', 'c', 'e']);
});

test('when all letters are removed, no file is left', async () => {
  const files = await newFileSystem();
  await addTo(files, 'old');
  const letters = await open({ maxBytes: 1e6, log: quiet, fileSystem: files, takeLock: new Machine().takeLock });
  await letters.add([letter('new')]);
  expect(await letters.remove()).toBe(2);
  expect([...files.files().keys()].filter((name) => name.endsWith('.ndjson'))).toEqual([]);
  expect(letters.size).toBe(0);
});

test('what another living process keeps is read, but not removed', async () => {
  const files = await newFileSystem();
  const machine = new Machine();
  const options = { maxBytes: 1e6, log: quiet, takeLock: machine.takeLock, fileSystem: files };
  const [one, other] = [await open(options), await open(options)];
  await one.add([letter('a')]);
  await other.add([letter('b')]);
  expect((await kept(one)).toSorted()).toEqual(['a', 'b']);
  expect(await one.remove()).toBe(1);
  await other.add([letter('c')]);
  expect(await kept(other)).toEqual(['b', 'c']);
  await other[Symbol.asyncDispose]();
  expect(await one.remove()).toBe(2);
});

test('letters that were replayed are gone, those that are rejected again stay as they are', async () => {
  const files = await newFileSystem();
  const letters = await open({ maxBytes: 1e6, log: quiet, fileSystem: files });
  const one = document({ id: 'taken', time: noon, sequence: 7, createdAt: noon + 5 });
  const json = one.json.replace(/"@timestamp":"([^"]*)000Z"/, '"@timestamp":"$1123456Z"');
  await letters.add(['taken', 'bad', 'later', 'twice', 'other'].map((id) => ({ id, reason: 'why', document: json })));
  const given: SinkDocument[] = [];
  const statuses: Readonly<Record<string, Outcome>> = {
    bad: { status: 'rejected', reason: 'again' },
    later: { status: 'retry', reason: 'full' },
    twice: { status: 'duplicate' },
  };
  const sink = {
    async deliver(bulk: Bulk): Promise<Outcome[]> {
      given.push(...bulk);
      return Array.from(bulk, ({ id }) => statuses[id] ?? { status: 'indexed' });
    },
  };
  const wanted = new Set(['taken', 'bad', 'later', 'twice', 'unknown']);
  expect(await replay(letters, sink, wanted, new AbortController().signal)).toEqual({ taken: 2, kept: 2 });
  expect(await kept(letters)).toEqual(['bad', 'later', 'other']);
  expect(given[0]).toEqual({ id: 'taken', json });
  expect(await replay(letters, sink, undefined, new AbortController().signal)).toEqual({ taken: 1, kept: 2 });
});

test('when the sink goes away amid a replay, what it took before is gone, and all else stays', async () => {
  const files = await newFileSystem();
  const letters = await open({ maxBytes: 1e9, log: quiet, fileSystem: files });
  const names = Array.from({ length: 2500 }, (_, index) => `${index}`);
  await letters.add(names.map((name) => letter(name)));
  let calls = 0;
  const sink = {
    async deliver(bulk: Bulk): Promise<Outcome[]> {
      if ((calls += 1) > 2) throw new SinkError('unavailable', 'away');
      return Array.from(bulk, () => ({ status: 'indexed' }));
    },
  };
  await expect(replay(letters, sink, undefined, new AbortController().signal)).rejects.toThrow('away');
  expect(await kept(letters)).toEqual(names.slice(2000));
});
