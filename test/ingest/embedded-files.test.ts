import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import type { Log } from '../../ingest/log.ts';
import { compare, type Position } from '../../ingest/query/cursor.ts';
import type { Query } from '../../ingest/query/ast.ts';
import { parseQuery } from '../../ingest/query/parse.ts';
import type { ReaderAnswer, ReaderRequest } from '../../ingest/sinks/embedded-reader.ts';
import { describeFailure, WorkerClient } from '../../ingest/sinks/embedded-worker.ts';
import { openEmbedded, type EmbeddedOptions, type EmbeddedSink } from '../../ingest/sinks/embedded.ts';
import { bulkOf, document, noon, type Sketch } from '../support/documents.ts';
import { quiet } from '../support/log.ts';

const forever = new AbortController().signal;
const day = 86_400_000;

class Store implements AsyncDisposable {
  readonly data: string;
  readonly sink: EmbeddedSink;

  constructor(data: string, sink: EmbeddedSink) {
    this.data = data;
    this.sink = sink;
  }

  static async open(options: Partial<EmbeddedOptions> = {}): Promise<Store> {
    const data = await mkdtemp(join(tmpdir(), 'shiplog-embedded-'));
    return new Store(data, await openEmbedded({ directory: join(data, 'logs'), log: quiet, ...options }));
  }

  get directory(): string {
    return join(this.data, 'logs');
  }

  async store(...sketches: Sketch[]): Promise<string[]> {
    return (await this.sink.deliver(bulkOf(sketches.map(document)), forever)).map(({ status }) => status);
  }

  async messages(limit = 100, sink: EmbeddedSink = this.sink): Promise<string[]> {
    const { records } = await sink.search({ limit }, forever);
    return records.map((json) => String(JSON.parse(json).message));
  }

  async files(): Promise<string[]> {
    return (await readdir(this.directory)).filter((name) => name.endsWith('.db')).toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sink[Symbol.asyncDispose]();
    await rm(this.data, { recursive: true });
  }
}

test('the file is that of the day of receipt, whatever the time of the line', async () => {
  await using store = await Store.open();
  await store.store(
    { id: 'a', time: noon, createdAt: noon + day },
    { id: 'b', time: noon + day, createdAt: Date.UTC(2026, 10, 24, 23, 59, 59, 999) },
  );
  expect(await store.files()).toEqual(['2026-11-24.db', '2026-11-25.db']);
});

test('a search goes by the time of the line across files that overlap', async () => {
  await using store = await Store.open();
  const sketches = Array.from({ length: 40 }, (_, index) => ({
    id: `id-${index}`,
    time: noon + index,
    createdAt: noon + (index % 4) * day,
    message: `${index}`,
  }));
  expect(new Set(await store.store(...sketches))).toEqual(new Set(['indexed']));
  const expected = sketches.map(({ message }) => message).toReversed();
  expect(await store.messages()).toEqual(expected);
  expect(await store.messages(7)).toEqual(expected.slice(0, 7));
  const found: string[] = [];
  let before: string | undefined;
  do {
    const page = await store.sink.search({ limit: 3, ...(before === undefined ? {} : { before }) }, forever);
    found.push(...page.records.map((json) => String(JSON.parse(json).message)));
    before = page.next;
  } while (before !== undefined);
  expect(found).toEqual(expected);
});

type Reader = WorkerClient<ReaderRequest, ReaderAnswer>;

function reading(): Reader {
  return new WorkerClient(new URL('../../ingest/sinks/embedded-reader.ts', import.meta.url));
}

/** The page of a search whose deadline is over, which gets on from the one before. */
async function pageInNoTime(
  reader: Reader,
  task: { directory: string; limit: number; query?: Query },
  before: Position | undefined,
): Promise<{ messages: string[]; next: Position | undefined }> {
  const found = await reader.ask({ kind: 'search', ...task, deadline: 0, ...(before === undefined ? {} : { before }) });
  if (found.kind !== 'search') throw new Error('no page');
  if (before !== undefined && found.next !== undefined) expect(compare(found.next, before)).toBeGreaterThan(0);
  return { messages: found.records.map((json) => String(JSON.parse(json).message)), next: found.next };
}

test('past its deadline a search answers with what is certain, and each page gets on, to the end', async () => {
  await using store = await Store.open();
  await using reader = reading();
  const sketches = Array.from({ length: 60 }, (_, index) => ({
    id: `id-${index}`,
    time: noon + index,
    // Three files that overlap, and three that do not.
    createdAt: noon + (index < 30 ? index % 3 : Math.floor(index / 10)) * day,
    message: `${index}`,
  }));
  await store.store(...sketches);
  const pages: string[][] = [];
  let before: Position | undefined;
  do {
    const page = await pageInNoTime(reader, { directory: store.directory, limit: 25 }, before);
    before = page.next;
    pages.push(page.messages);
  } while (before !== undefined);
  expect(pages.flat()).toEqual(sketches.map(({ message }) => message).toReversed());
  expect(pages.slice(0, 3).map((page) => page.length)).toEqual([10, 10, 10]);
});

test.each(['rare', 'log.syslog.msgid:rare', 'NOT common'])(
  'the deadline of a search also holds within a file: %s',
  async (text) => {
    await using store = await Store.open();
    await using reader = reading();
    // Two files that lie over each other.
    const sketches = Array.from({ length: 30_000 }, (_, index) => {
      const word = index % 3 === 1 || index % 5 === 0 ? 'rare' : 'common';
      const fields = { log: { syslog: { msgid: word } } };
      const createdAt = noon + (index % 3 === 0 ? day : 0);
      return { id: `id-${index}`, time: noon + Math.floor(index / 4), createdAt, message: `${word} ${index}`, fields };
    });
    await store.store(...sketches);
    const query = parseQuery(text);
    const found: string[] = [];
    let before: Position | undefined;
    let pages = 0;
    do {
      const task = { directory: store.directory, limit: 20_000, ...(query && { query }) };
      const page = await pageInNoTime(reader, task, before);
      before = page.next;
      found.push(...page.messages);
      pages += 1;
    } while (before !== undefined);
    const expected = sketches.map(({ message }) => message).filter((message) => message.startsWith('rare'));
    expect(found).toEqual(expected.toReversed());
    expect(pages).toBeGreaterThan(5);
  },
);

test('a count that takes too long fails, and says what to do', async () => {
  await using store = await Store.open();
  await using reader = reading();
  await store.store(...Array.from({ length: 2000 }, (_, index) => ({ id: `${index}`, time: noon + index })));
  const task = {
    kind: 'histogram',
    directory: store.directory,
    since: noon,
    until: noon + 2000,
    interval: 1000,
  } as const;
  for (const query of [undefined, parseQuery('line')]) {
    const counting = reader.ask({ ...task, deadline: 0, ...(query && { query }) });
    await expect(counting).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/takes too long; ask for less time/),
    });
  }
});

test('documents of one time that come in many batches keep the order of their sequence', async () => {
  await using store = await Store.open();
  for (const sequence of [5, 1, 9, 3, 7]) {
    await store.store({ id: `${sequence}`, time: noon, sequence, message: `${sequence}` });
  }
  await store.store(
    { id: 'later', time: noon + 1, message: 'later' },
    { id: '4', time: noon, sequence: 4, message: '4' },
    { id: 'older', time: noon - 1, sequence: 99, message: 'older' },
  );
  const expected = ['later', '9', '7', '5', '4', '3', '1', 'older'];
  for (let limit = 1; limit <= 9; limit += 1) expect(await store.messages(limit)).toEqual(expected.slice(0, limit));
});

test('what was stored is there after the store is opened again', async () => {
  await using store = await Store.open();
  await store.store({ id: 'a', time: noon, message: 'kept' });
  await store.sink[Symbol.asyncDispose]();
  expect(await readdir(store.directory)).toEqual(['2026-11-24.db']);
  await using again = await openEmbedded({ directory: store.directory, log: quiet });
  expect(await store.messages(10, again)).toEqual(['kept']);
  const outcomes = await again.deliver(bulkOf([document({ id: 'a', time: noon })]), forever);
  expect(outcomes).toEqual([{ status: 'duplicate' }]);
});

test('two stores on one directory write and search at once, and know each other’s duplicates', async () => {
  await using store = await Store.open();
  await using other = await openEmbedded({ directory: store.directory, log: quiet });
  const batches = Array.from({ length: 20 }, (_, batch) =>
    Array.from({ length: 50 }, (_, index) => {
      const fields = { host: { name: `host-${(batch * 25 + index) % 7}` } };
      return document({ id: `id-${batch * 25 + index}`, time: noon + index, fields });
    }),
  );
  const outcomes = await Promise.all(
    batches.map((batch, index) => (index % 2 === 0 ? store.sink : other).deliver(bulkOf(batch), forever)),
  );
  const indexed = outcomes.flat().filter(({ status }) => status === 'indexed').length;
  expect(indexed).toBe(525);
  expect(await store.messages(1000)).toHaveLength(525);
  expect(await store.messages(1000, other)).toHaveLength(525);
  const query = parseQuery('host:host-3');
  const { records } = await other.search({ limit: 1000, ...(query && { query }) }, forever);
  expect(records).toHaveLength(75);
});

test('retention ends the files of days that are over for so long, and no other', async () => {
  await using store = await Store.open({ retention: 2 * day });
  await store.store(...[0, 1, 2, 3].map((days) => ({ id: `${days}`, time: noon + days * day, message: `${days}` })));
  const end = Date.UTC(2026, 10, 25);
  expect(await store.sink.sweep(end + 2 * day - 1)).toEqual([]);
  expect(await store.sink.sweep(end + 2 * day)).toMatchObject([{ file: '2026-11-24.db', reason: 'retention' }]);
  expect(await store.messages()).toEqual(['3', '2', '1']);
  expect((await readdir(store.directory)).filter((name) => name.startsWith('2026-11-24'))).toEqual([]);
});

test('beyond the bound on size the oldest files end, but never the newest', async () => {
  await using store = await Store.open({ maxSize: 1 });
  await store.store(...[0, 1, 2].map((days) => ({ id: `${days}`, time: noon + days * day, message: `${days}` })));
  const swept = await store.sink.sweep(noon);
  expect(swept).toMatchObject([
    { file: '2026-11-24.db', reason: 'max_size' },
    { file: '2026-11-25.db', reason: 'max_size' },
  ]);
  expect(await store.messages()).toEqual(['2']);
});

test('a day goes on in another file when one is full; what comes again is known, whichever file it lies in', async () => {
  await using store = await Store.open({ pieceSize: 100_000 });
  const batch = (from: number): Sketch[] =>
    Array.from({ length: 100 }, (_, n) => ({
      id: `id-${String(from + n).padStart(5, '0')}`,
      time: noon + from + n,
      message: `${from + n} ${'x'.repeat(500)}`,
    }));
  const all = [0, 100, 200, 300, 400, 500].map(batch);
  for (const sketches of all) expect(new Set(await store.store(...sketches))).toEqual(new Set(['indexed']));
  const files = await store.files();
  expect(files.length).toBeGreaterThan(2);
  expect(files).toContain('2026-11-24.2.db');
  // Another process delivers again, some beside what is new.
  await using other = await openEmbedded({ directory: store.directory, log: quiet, pieceSize: 100_000 });
  for (const sketches of all) {
    const fresh = sketches.slice(0, 3).map((sketch) => ({ ...sketch, id: `${sketch.id}-new` }));
    const outcomes = await other.deliver(bulkOf([...sketches, ...fresh].map(document)), forever);
    expect(outcomes.map(({ status }) => status)).toEqual([
      ...sketches.map(() => 'duplicate'),
      ...fresh.map(() => 'indexed'),
    ]);
  }
  const found = await store.messages(10_000);
  expect(found).toHaveLength(618);
  expect(found[0]).toMatch(/^599 /);
  expect(found.at(-1)).toMatch(/^0 /);
});

test('beyond the bound on size whole files end within a day, and by itself as it fills', async () => {
  const maxSize = 1_000_000;
  await using store = await Store.open({ maxSize, pieceSize: 150_000 });
  for (let n = 0; n < 40; n += 1) {
    const sketches = Array.from({ length: 100 }, (_, at) => ({
      id: `id-${String(n * 100 + at).padStart(5, '0')}`,
      time: noon + n,
      message: `${n} ${'x'.repeat(500)}`,
    }));
    expect(new Set(await store.store(...sketches))).toEqual(new Set(['indexed']));
  }
  const files = await store.files();
  expect(files.length).toBeGreaterThan(1);
  expect(files).not.toContain('2026-11-24.db');
  const messages = await store.messages(10_000);
  expect(messages.length).toBeLessThan(4000);
  expect(messages[0]).toMatch(/^39 /);
});

test('a file that somebody deletes is made again, and nothing is written into the void', async () => {
  await using store = await Store.open();
  await using other = await openEmbedded({ directory: store.directory, log: quiet, retention: day });
  await store.store({ id: 'a', time: noon, message: 'before' });
  await other.sweep(noon + 5 * day);
  expect(await store.files()).toEqual([]);
  expect(await store.store({ id: 'b', time: noon, message: 'after' })).toEqual(['indexed']);
  expect(await store.messages(10, other)).toEqual(['after']);
});

test('a document that is no JSON is rejected, and the rest of its batch is stored', async () => {
  await using store = await Store.open();
  const documents = [document({ id: 'a', time: noon }), { ...document({ id: 'b', time: noon }), json: '{' }];
  const outcomes = await store.sink.deliver(bulkOf(documents), forever);
  expect(outcomes).toEqual([{ status: 'indexed' }, { status: 'rejected', reason: 'the document is not JSON' }]);
});

test('a damaged file is refused by name, and other days go on', async () => {
  await using store = await Store.open();
  await writeFile(join(store.directory, '2026-11-24.db'), 'no database at all'.repeat(100));
  await expect(store.store({ id: 'a', time: noon })).rejects.toMatchObject({ name: 'SinkError', code: 'refused' });
  expect(await store.store({ id: 'b', time: noon + day })).toEqual(['indexed']);
});

test('failures of SQLite are told apart: damage asks for a hand, all else is tried again', () => {
  const failure = (errcode: number): unknown => describeFailure(Object.assign(new Error('told'), { errcode })).code;
  expect([5, 6, 10, 13, 14].map(failure)).toEqual(Array.from({ length: 5 }, () => 'unavailable'));
  expect([11, 26, 11 + 256].map(failure)).toEqual(['refused', 'refused', 'refused']);
});

test('a directory that is gone makes the sink unavailable, and it recovers by itself', async () => {
  await using store = await Store.open();
  await rm(store.directory, { recursive: true });
  await expect(store.store({ id: 'a', time: noon })).rejects.toMatchObject({ name: 'SinkError', code: 'unavailable' });
  await expect(store.messages()).rejects.toMatchObject({ code: 'unavailable' });
  await openEmbedded({ directory: store.directory, log: quiet }).then((sink) => sink[Symbol.asyncDispose]());
  expect(await store.store({ id: 'a', time: noon })).toEqual(['indexed']);
});

test('what a dying thread had in hand fails as unavailable, and the next request finds a new one', async () => {
  const script = new URL('data:text/javascript,' + encodeURIComponent(dying));
  await using client = new WorkerClient<string, string>(script);
  expect(await client.ask('hello')).toBe('hello');
  const lost = [client.ask('die'), client.ask('hello')];
  for (const request of lost) await expect(request).rejects.toMatchObject({ name: 'SinkError', code: 'unavailable' });
  expect(await client.ask('hello')).toBe('hello');
});

const dying = `
  import { parentPort } from 'node:worker_threads';
  parentPort.on('message', ({ call, request }) => {
    if (request === 'die') throw new Error('told to');
    parentPort.postMessage({ call, result: request });
  });
`;

test('an aborted search ends at once, and the store goes on', async () => {
  await using store = await Store.open();
  await store.store({ id: 'a', time: noon, message: 'there' });
  const abort = new AbortController();
  const search = store.sink.search({ limit: 1 }, abort.signal);
  abort.abort();
  await expect(search).rejects.toMatchObject({ name: 'AbortError' });
  expect(await store.messages()).toEqual(['there']);
});

test('a closed store is unavailable', async () => {
  await using store = await Store.open();
  await store.sink[Symbol.asyncDispose]();
  await expect(store.store({ id: 'a', time: noon })).rejects.toMatchObject({ code: 'unavailable' });
});

test('what was acknowledged before the process was killed is found', async () => {
  await using store = await Store.open();
  const child = fork(join(import.meta.dirname, '../support/embedded-child.ts'), [store.directory]);
  const acknowledged: string[] = [];
  child.on('message', (ids: string[]) => {
    acknowledged.push(...ids);
    if (acknowledged.length >= 500) child.kill('SIGKILL');
  });
  await once(child, 'exit');
  const found = new Set(await store.messages(50_000));
  expect(acknowledged.length).toBeGreaterThanOrEqual(500);
  expect(acknowledged.filter((id) => !found.has(id))).toEqual([]);
});

test('what is delivered again after a kill is there once', async () => {
  await using store = await Store.open();
  const child = fork(join(import.meta.dirname, '../support/embedded-child.ts'), [store.directory]);
  let acknowledged = 0;
  child.on('message', (ids: string[]) => {
    acknowledged += ids.length;
    if (acknowledged >= 200) child.kill('SIGKILL');
  });
  await once(child, 'exit');
  const stored = await store.messages(50_000);
  const again = [...stored, 'new'].map((id) => document({ id, time: noon, message: id }));
  const outcomes = await store.sink.deliver(bulkOf(again), forever);
  expect(outcomes.map(({ status }) => status)).toEqual([...stored.map(() => 'duplicate'), 'indexed']);
  expect((await store.messages(50_000)).toSorted()).toEqual([...stored, 'new'].toSorted());
  const { counts } = await store.sink.histogram({ since: 0, until: noon + day, interval: noon + day }, forever);
  expect(counts).toEqual([stored.length + 1]);
});

test('a file of the version without arrivals is searched, written to, and tells what comes from then on', async () => {
  await using store = await Store.open();
  await store.store({ id: 'a', time: noon, message: 'old' });
  await store.sink[Symbol.asyncDispose]();
  const database = new DatabaseSync(join(store.directory, '2026-11-24.db'));
  database.exec('DROP TABLE arrivals; DROP TABLE common; PRAGMA user_version = 1');
  database.close();
  await using again = await openEmbedded({ directory: store.directory, log: quiet });
  expect(await store.messages(10, again)).toEqual(['old']);
  const arrived = async (): Promise<string[]> =>
    (await again.arrivals({ since: 0, limit: 10 }, forever)).records.map(({ id }) => id);
  expect(await arrived()).toEqual([]);
  await again.deliver(bulkOf([document({ id: 'b', time: noon, message: 'new' })]), forever);
  expect(await arrived()).toEqual(['b']);
});

test('the log says what was deleted', async () => {
  const said: object[] = [];
  const log: Log = { ...quiet, info: (fields) => said.push(fields) };
  await using store = await Store.open({ retention: day, log });
  await store.store({ id: 'a', time: noon });
  await store.sink.sweep(noon + 9 * day);
  expect(said).toMatchObject([{ file: '2026-11-24.db', reason: 'retention' }]);
});

test('a leftover log of a file that is gone does not come back to life', async () => {
  await using store = await Store.open();
  await store.store({ id: 'a', time: noon, message: 'old' });
  await unlink(join(store.directory, '2026-11-24.db'));
  await store.store({ id: 'b', time: noon, message: 'new' });
  expect(await store.messages()).toEqual(['new']);
});
