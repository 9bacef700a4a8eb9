import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Query } from '../../ingest/query/ast.ts';
import { CursorError } from '../../ingest/query/cursor.ts';
import { parseQuery } from '../../ingest/query/parse.ts';
import type { SearchRequest } from '../../ingest/query/search.ts';
import { indexText, words } from '../../ingest/query/words.ts';
import type { Sink } from '../../ingest/sinks/sink.ts';
import { bulkOf, document, noon, type Sketch, type TestDocument } from './documents.ts';
import { evaluate } from './evaluate-query.ts';
import { random, type Random } from './random.ts';

/** A sink under test, empty. */
export interface SinkUnderTest extends AsyncDisposable {
  readonly sink: Sink;
  /** Resolves once what was delivered can be found. */
  settled(): Promise<void>;
}

const forever = new AbortController().signal;

/** What every sink promises, each test in a sink of its own; reading ones share one. */
export function sinkContract(open: () => Promise<SinkUnderTest>): void {
  test('what was delivered is found, newest first, as it was', async () => {
    await using under = await open();
    const sketches = [
      { id: 'b', time: noon, sequence: 2 },
      { id: 'd', time: noon + 5, sequence: 1 },
      { id: 'a', time: noon, sequence: 1 },
      { id: 'c', time: noon, sequence: 10, message: 'Ä "quoted"\n\tline \u0000 \u{1f600}' },
    ];
    const documents = await store(under, sketches);
    const found = await under.sink.search({ limit: 10 }, forever);
    expect(found.next).toBeUndefined();
    expect(found.records.map((json) => JSON.parse(json))).toEqual(
      [1, 3, 0, 2].map((index) => JSON.parse(documents[index]?.json ?? '')),
    );
  });

  test('a document that comes again is a duplicate, and is found once, as it first was', async () => {
    await using under = await open();
    await store(under, [{ id: 'a', time: noon, message: 'first' }]);
    const again = ['a', 'b', 'b'].map((id) => document({ id, time: noon, message: 'second' }));
    const outcomes = await under.sink.deliver(bulkOf(again), forever);
    expect(outcomes.map(({ status }) => status)).toEqual(['duplicate', 'indexed', 'duplicate']);
    await under.settled();
    expect(await messages(under, { limit: 10 })).toEqual(expect.arrayContaining(['first', 'second']));
    expect(await messages(under, { limit: 10 })).toHaveLength(2);
  });

  test('a page of long records ends early, and the next one goes on after it', async () => {
    await using under = await open();
    const [length, largest] = [3 * 1024 * 1024, 32 * 1024 * 1024];
    const sketches = Array.from({ length: 14 }, (_, index) => {
      const fields = { fields: { long: 'x'.repeat(length) } };
      // The first half in one millisecond.
      return { id: `${10 + index}`, time: noon - Math.max(0, 7 - index), sequence: index, message: `${index}`, fields };
    });
    await store(under, sketches);
    const found = await pages(under, { limit: 100 });
    expect(found.flat()).toEqual(sketches.map(({ message }) => message).toReversed());
    expect(Math.max(...found.map((page) => page.length)) * length).toBeLessThanOrEqual(largest);
  });

  test('since is included, until is not', async () => {
    await using under = await open();
    await store(
      under,
      [0, 1, 2, 3].map((ms) => ({ id: `${ms}`, time: noon + ms, message: `${ms}` })),
    );
    expect(await messages(under, { limit: 10, since: noon + 1, until: noon + 3 })).toEqual(['2', '1']);
    expect(await messages(under, { limit: 10, since: noon + 4 })).toEqual([]);
  });

  test('pages follow each other without a gap or a repeat, also among equal times and sequences', async () => {
    await using under = await open();
    const sketches = Array.from({ length: 60 }, (_, index) => ({
      id: `id-${String(index * 7).padStart(4, '0')}`,
      time: noon + Math.floor(index / 20),
      sequence: Math.floor(index / 6) % 2,
      message: `${index}`,
    }));
    await store(under, sketches);
    const expected = sketches
      .toSorted((a, b) => b.time - a.time || b.sequence - a.sequence || (a.id < b.id ? 1 : -1))
      .map(({ message }) => message);
    for (const limit of [1, 7, 20, 59, 60, 61]) {
      expect((await pages(under, { limit })).flat(), `pages of ${limit}`).toEqual(expected);
    }
  });

  test('a cursor that no search returned is refused', async () => {
    await using under = await open();
    for (const before of ['', 'x', '!!', Buffer.from('[1,2]').toString('base64url'), 'A'.repeat(5000)]) {
      await expect(under.sink.search({ limit: 1, before }, forever)).rejects.toThrow(CursorError);
    }
  });

  test('12,000 documents are found at once, and page by page', async () => {
    await using under = await open();
    const sketches = Array.from({ length: 12_000 }, (_, index) => ({
      id: `id-${String(index).padStart(6, '0')}`,
      time: noon + Math.floor(index / 3),
      sequence: index,
      message: index % 2 === 0 ? `even ${index}` : `odd ${index}`,
    }));
    for (let at = 0; at < sketches.length; at += 4000) {
      await under.sink.deliver(bulkOf(sketches.slice(at, at + 4000).map(document)), forever);
    }
    await under.settled();
    const all = sketches.map(({ message }) => message).toReversed();
    expect(await messages(under, { limit: 50_000 })).toEqual(all);
    const even = await pages(under, { limit: 2500, ...ask('even') });
    expect(even.map((page) => page.length)).toEqual([2500, 2500, 1000]);
    expect(even.flat()).toEqual(all.filter((message) => message.startsWith('even')));
  });

  test('what came since is found by when it came, whatever its time, oldest first', async () => {
    await using under = await open();
    const before = await untilNext();
    await store(
      under,
      arriving(before, [
        { id: 'now', time: noon + 5 },
        { id: 'past', time: noon - 30 * 86_400_000 },
      ]),
    );
    const between = await untilNext();
    await store(
      under,
      arriving(between, [
        { id: 'late', time: noon + 1 },
        { id: 'later', time: noon + 1, sequence: 1 },
      ]),
    );
    const since = async (since: number, query = ''): Promise<string[]> =>
      (await under.sink.arrivals({ since, limit: 10, ...ask(query) }, forever)).records.map(({ id }) => id);
    expect(await since(before)).toEqual(['past', 'late', 'later', 'now']);
    expect(await since(between)).toEqual(['late', 'later']);
    expect(await since(await untilNext())).toEqual([]);
    expect(await since(before, 'message:late* OR message:now')).toEqual(['late', 'later', 'now']);
    const all = await under.sink.arrivals({ since: before, limit: 10 }, forever);
    expect([all.cut, JSON.parse(all.records[0]?.json ?? '').message]).toEqual([false, 'past']);
    const last = await under.sink.arrivals({ since: before, limit: 2 }, forever);
    expect([last.cut, last.records.map(({ id }) => id)]).toEqual([true, ['late', 'later']]);
  });

  test('of long records only so many come at once, and it is told', async () => {
    await using under = await open();
    const before = await untilNext();
    const fields = { fields: { long: 'x'.repeat(1024 * 1024) } };
    const sketches = Array.from({ length: 12 }, (_, index) => ({ id: `${index}`, time: noon + index, fields }));
    await store(under, arriving(before, sketches));
    const { records, cut } = await under.sink.arrivals({ since: before, limit: 100 }, forever);
    expect([records.map(({ id }) => id), cut]).toEqual([['9', '10', '11'], true]);
  });

  test('records are counted by time, from since on and below until', async () => {
    await using under = await open();
    const times = [-1, 0, 0, 999, 1000, 1003, 2500, 2999, 3000];
    await store(
      under,
      times.map((ms, index) => ({ id: `${index}`, time: noon + 7 + ms })),
    );
    const request = { since: noon + 7, until: noon + 7 + 2600, interval: 1000 };
    expect(await under.sink.histogram(request, forever)).toEqual({ counts: [3, 2, 1], values: [] });
    expect(await under.sink.histogram({ ...request, until: noon + 3007 }, forever)).toMatchObject({
      counts: [3, 2, 2],
    });
    expect(await under.sink.histogram({ ...request, ...ask('NOT line') }, forever)).toMatchObject({
      counts: [0, 0, 0],
    });
  });

  test('a count before the first document is of nothing', async () => {
    await using under = await open();
    const request = { since: noon, until: noon + 1000, interval: 500, field: 'host.name' };
    expect(await under.sink.histogram(request, forever)).toEqual({ counts: [0, 0], values: [] });
    expect(await under.sink.arrivals({ since: 0, limit: 10 }, forever)).toEqual({ records: [], cut: false });
  });

  test('records are counted by the most frequent values, equal ones by name; a record counts for each of its own', async () => {
    await using under = await open();
    const sketches = Array.from({ length: 12 }, (_, host) =>
      Array.from({ length: host === 0 ? 3 : 2 }, (_, index) => ({
        id: `${host}-${index}`,
        time: noon + index * 500,
        message: host % 2 === 0 ? 'even' : 'odd',
        fields: {
          host: { name: `host-${String.fromCharCode(97 + host)}` },
          ...(host < 2 && { container: { image: { tag: ['latest', `${host}`] } } }),
        },
      })),
    ).flat();
    await store(under, sketches);
    const request = { since: noon, until: noon + 1500, interval: 500 };
    const byHost = await under.sink.histogram({ ...request, field: 'host.name' }, forever);
    expect(byHost.counts).toEqual([12, 12, 1]);
    expect(byHost.values).toEqual([
      { value: 'host-a', counts: [1, 1, 1] },
      ...Array.from('bcdefghij', (letter) => ({ value: `host-${letter}`, counts: [1, 1, 0] })),
    ]);
    const byTag = await under.sink.histogram(
      { ...request, field: 'container.image.tag', ...ask('host:host-*') },
      forever,
    );
    expect(byTag.values).toEqual([
      { value: 'latest', counts: [2, 2, 1] },
      { value: '0', counts: [1, 1, 1] },
      { value: '1', counts: [1, 1, 0] },
    ]);
    const odd = await under.sink.histogram({ ...request, field: 'host.name', ...ask('odd NOT host:host-b') }, forever);
    expect([odd.counts, odd.values.length]).toEqual([[5, 5, 0], 5]);
  });

  let under: SinkUnderTest;
  const sketches = samples();
  beforeAll(async () => {
    under = await open();
    await store(under, sketches);
  });
  afterAll(() => under[Symbol.asyncDispose]());

  test.each(queries)('%s finds the right documents', async (query, expected) => {
    const found = await ids(under, { limit: 1000, until: noon + 1000, ...ask(query) });
    expect(found.toSorted()).toEqual(expected.toSorted());
  });

  test.each(queries)('%s counts the right documents, and finds them as they came', async (query, expected) => {
    const { counts } = await under.sink.histogram(
      { since: noon, until: noon + 1000, interval: 1000, ...ask(query) },
      forever,
    );
    expect(counts).toEqual([expected.length]);
    const bounded = [query, `NOT tags:nasty-*`, 'NOT tags:random-*']
      .filter(Boolean)
      .map((part) => `(${part})`)
      .join(' ');
    const { records } = await under.sink.arrivals({ since: 0, limit: 1000, ...ask(bounded) }, forever);
    expect(records.map(({ id }) => id).toSorted()).toEqual(expected.toSorted());
  });

  test('words are cut alike: a text is found by its words, and not by others', async () => {
    for (const [index, text] of nastyTexts.entries()) {
      const found = words(text);
      const request = { limit: 1000, since: noon + 1000, until: noon + 2000 };
      const phrase: Query = { kind: 'words', field: 'message', words: found, prefix: false };
      expect(await ids(under, { ...request, query: phrase }), JSON.stringify(text)).toContain(`nasty-${index}`);
      for (const word of new Set(found)) {
        const query: Query = { kind: 'words', field: 'message', words: [word], prefix: false };
        const others = nastyTexts.flatMap((other, at) => (words(other).includes(word) ? [`nasty-${at}`] : []));
        expect((await ids(under, { ...request, query })).toSorted(), JSON.stringify(word)).toEqual(others.toSorted());
      }
    }
    expect(nastyTexts.map((text) => words(indexText(text)))).toEqual(nastyTexts.map(words));
  });

  test('random queries find what a plain evaluation of every document finds', async () => {
    const random_ = random(20261124);
    const documents = sketches.filter(({ id }) => id.startsWith('random'));
    for (let run = 0; run < 150; run += 1) {
      const query = randomQuery(random_, 3);
      const expected = documents.filter((sketch) => evaluate(query, JSON.parse(document(sketch).json)));
      const found = await ids(under, { limit: 1000, since: noon + 2000, query });
      expect(found.toSorted(), JSON.stringify(query)).toEqual(expected.map(({ id }) => id).toSorted());
    }
  });
}

/** The next ms, once it has come. */
async function untilNext(): Promise<number> {
  const last = Date.now();
  while (Date.now() === last) await sleep(1);
  return Date.now();
}

/** Sketches of documents that were shipped at this time, in ms, with their id as the message. */
function arriving(ingested: number, sketches: readonly Sketch[]): Sketch[] {
  return sketches.map((sketch) => ({
    ...sketch,
    message: sketch.id,
    fields: { ...sketch.fields, event: { ingested: new Date(ingested).toISOString(), sequence: sketch.sequence ?? 0 } },
  }));
}

/** Delivers, expects that all was new, and waits until it can be found. */
async function store(under: SinkUnderTest, sketches: readonly Sketch[]): Promise<TestDocument[]> {
  const documents = sketches.map(document);
  const outcomes = await under.sink.deliver(bulkOf(documents), forever);
  expect(outcomes).toEqual(documents.map(() => ({ status: 'indexed' })));
  await under.settled();
  return documents;
}

function ask(text: string): { query?: Query } {
  const query = parseQuery(text);
  return query === undefined ? {} : { query };
}

async function field(under: SinkUnderTest, request: SearchRequest, name: string): Promise<string[]> {
  const { records } = await under.sink.search(request, forever);
  return records.map((json) => String(JSON.parse(json)[name]));
}

const messages = (under: SinkUnderTest, request: SearchRequest): Promise<string[]> => field(under, request, 'message');
/** The samples carry their id as a tag. */
const ids = (under: SinkUnderTest, request: SearchRequest): Promise<string[]> => field(under, request, 'tags');

async function pages(under: SinkUnderTest, request: SearchRequest): Promise<string[][]> {
  const found: string[][] = [];
  let before: string | undefined;
  do {
    const page = await under.sink.search({ ...request, ...(before === undefined ? {} : { before }) }, forever);
    found.push(page.records.map((json) => String(JSON.parse(json).message)));
    before = page.next;
  } while (before !== undefined);
  return found;
}

const containerId = `0123456789abcdef${'0'.repeat(48)}`;
const hash = `sha256:${'ab'.repeat(32)}`;

function samples(): Sketch[] {
  const web = {
    host: { name: 'Node-1' },
    orchestrator: { cluster: { name: 'prod' } },
    container: {
      id: containerId,
      name: 'web-1',
      image: { name: 'registry.corp:5000/team/web', tag: ['1.4', 'latest'], hash: { all: [hash, 'sha256:cd'] } },
      labels: { 'com.example.role': 'front', empty: '' },
    },
    shiplog: { stream: 'stdout', image: { repository: 'team/web' } },
    log: { level: 'info', syslog: { priority: 30, appname: 'a b*c' } },
    source: { ip: '10.0.0.1', port: 514 },
  };
  const api = {
    host: { name: 'node-2' },
    orchestrator: { cluster: { name: 'test' } },
    container: { id: 'f'.repeat(64), name: '0123456789ab', image: { name: 'api', tag: ['2'] } },
    shiplog: { stream: 'stderr', image: { repository: 'api' } },
    log: { level: 'error', syslog: { appname: 'job[7]?' } },
    source: { ip: '::ffff:10.0.0.2', port: 6514 },
    fields: { user: { id: 42, 'a.b': 'x?y' }, list: ['one', ['two']], 'user.flat': true, ratio: 0.5, none: null },
    error: { message: 'Disk /dev/sda is full', type: 'IOError' },
  };
  const bare = { fields: { user: 'root', long: 'z'.repeat(9000) }, source: { ip: '2001:db8::1' } };
  const named: Sketch[] = [
    { id: 'web', time: noon, sequence: 1, message: 'GET /api/v1/users?id=17 200', fields: { ...web } },
    { id: 'api', time: noon + 1, sequence: 2, message: 'Connection refused: connection_reset', fields: { ...api } },
    { id: 'bare', time: noon + 2, sequence: 3, message: 'refused connection', fields: { ...bare } },
  ];
  const nasty: Sketch[] = nastyTexts.map((message, index) => ({
    id: `nasty-${index}`,
    time: noon + 1000 + index,
    message,
  }));
  const random_ = random(42);
  const drawn: Sketch[] = Array.from({ length: 200 }, (_, index) => ({
    id: `random-${index}`,
    time: noon + 2000 + index,
    message: Array.from({ length: 1 + random_.int(6) }, () => random_.pick(vocabulary)).join(
      random_.pick([' ', '-', '/']),
    ),
    fields: {
      ...(random_.chance(0.8) ? { host: { name: random_.pick(vocabulary) } } : {}),
      ...(random_.chance(0.5) ? { log: { level: random_.pick(['info', 'error']) } } : {}),
      ...(random_.chance(0.5) ? { fields: { x: random_.pick(vocabulary), y: { z: random_.int(3) } } } : {}),
      ...(random_.chance(0.3) ? { error: { message: `${random_.pick(vocabulary)} ${random_.pick(vocabulary)}` } } : {}),
    },
  }));
  return [...named, ...nasty, ...drawn].map((sketch) => ({
    ...sketch,
    fields: {
      ...sketch.fields,
      tags: [sketch.id],
      event: { ingested: new Date(noon).toISOString(), sequence: sketch.sequence ?? 0 },
    },
  }));
}

const queries: [string, string[]][] = [
  ['', ['web', 'api', 'bare']],
  ['*', ['web', 'api', 'bare']],
  ['NOT *', []],
  ['connection', ['api', 'bare']],
  ['CONNECTION refused', ['api', 'bare']],
  ['"connection refused"', ['api']],
  ['"refused connection"', ['api', 'bare']],
  ['connection-refused', ['api']],
  ['conn*', ['api', 'bare']],
  ['connection_re*', ['api']],
  ['refused-conn*', ['api', 'bare']],
  ['nect*', []],
  ['user', []],
  ['users', ['web']],
  ['"v1 users"', ['web']],
  ['id=17', ['web']],
  ['connection NOT reset', ['bare']],
  ['NOT connection', ['web']],
  ['NOT (connection OR get)', []],
  ['get OR reset', ['web', 'api']],
  ['(get OR reset) host:node-*', ['api']],
  ['get OR host:node-2', ['web', 'api']],
  ['NOT get host:*', ['api', 'bare']],
  ['host:Node-1', ['web']],
  ['host:node-1', []],
  ['host:*ode-*', ['web', 'api']],
  ['host:node', ['bare']],
  ['cluster:prod', ['web']],
  ['NOT cluster:prod', ['api', 'bare']],
  ['NOT cluster:*', ['bare']],
  ['cluster:*', ['web', 'api']],
  ['image:team/web', ['web']],
  ['image:registry.corp:5000/team/web', ['web']],
  ['image:team/web:1.4', ['web']],
  ['image:team/web:latest', ['web']],
  ['image:team/web:1', []],
  ['image:team/*', ['web']],
  ['image:*/web:1.*', ['web']],
  ['image:registry.corp:5000/team/web:1.4', ['web']],
  [`image:team/web@${hash}`, ['web']],
  ['image:web', []],
  ['tag:latest', ['web']],
  [`digest:${hash}`, ['web']],
  ['digest:sha256:cd', ['web']],
  ['digest:sha256:ab*', ['web']],
  ['container:web-1', ['web']],
  [`container:${containerId}`, ['web']],
  ['container:0123456789ab', ['web', 'api']],
  ['container:0123456789a', []],
  ['container:ffffffffffff', ['api']],
  ['level:error OR level:info', ['web', 'api']],
  ['stream:stderr', ['api']],
  ['log.syslog.appname:"a b*c"', ['web']],
  ['log.syslog.appname:a\\ b*', ['web']],
  ['log.syslog.appname:"a b*"', []],
  ['log.syslog.appname:a*\\*c', ['web']],
  ['log.syslog.appname:a\\ \\**', []],
  ['log.syslog.appname:job[7]*', ['api']],
  ['log.syslog.appname:jo*7]?', ['api']],
  ['log.syslog.appname:*[7*', ['api']],
  ['log.syslog.appname:*?', ['api']],
  ['log.syslog.appname:*]\\*', []],
  ['log.syslog.appname:job[7]\\**', []],
  ['log.syslog.priority:30', ['web']],
  ['log.syslog.priority:*', ['web']],
  ['source.ip:10.0.0.1', ['web']],
  ['source.ip:10.0.0.2', ['api']],
  ['source.ip:2001:DB8:0::1', ['bare']],
  ['source.ip:*', ['web', 'api', 'bare']],
  ['source.port:514 OR source.port:6514', ['web', 'api']],
  ['container.labels.com.example.role:front', ['web']],
  ['container.labels.com.example.role:fr*', ['web']],
  ['container.labels.empty:""', ['web']],
  ['container.labels.empty:*', ['web']],
  ['fields.user.id:42', ['api']],
  ['fields.user.id:4*', ['api']],
  ['fields.user.a.b:x\\?y', ['api']],
  ['fields.user.a.b:x?y', ['api']],
  ['fields.user.a.b:x?*', ['api']],
  ['fields.user.a.b:?*', []],
  ['fields.user:root', ['bare']],
  ['fields.user.flat:true', ['api']],
  ['fields.list:one fields.list:two', ['api']],
  ['fields.ratio:0.5', ['api']],
  ['fields.none:*', []],
  ['fields.long:*', []],
  ['fields.long:z*', []],
  ['fields.user:*', ['bare']],
  ['error.message:disk', ['api']],
  ['error.message:"dev sda"', ['api']],
  ['error.message:ful*', ['api']],
  ['error.message:"sda dev"', []],
  ['error.message:*', ['api']],
  ['error.type:IOError', ['api']],
  ['NOT error.message:disk', ['web', 'bare']],
  ['message:*', ['web', 'api', 'bare']],
  ['message:reset', ['api']],
  ['tags:api', ['api']],
  ['reset OR fields.user:root', ['api', 'bare']],
  ['reset AND NOT (fields.user.id:42 OR get)', []],
];

const vocabulary = ['alpha', 'Beta', 'gamma', 'delta', 'al', 'be', 'gam', 'x1', '42', 'Übung', 'naïve'];

function randomQuery(random_: Random, depth: number): Query {
  const kind = depth === 0 ? random_.int(2) : random_.int(5);
  const operands = (): Query[] => Array.from({ length: 2 + random_.int(2) }, () => randomQuery(random_, depth - 1));
  switch (kind) {
    case 0: {
      const chosen = Array.from({ length: 1 + random_.int(2) }, () => random_.pick(vocabulary).toLowerCase());
      const field = random_.chance(0.8) ? 'message' : 'error.message';
      return { kind: 'words', field, words: chosen, prefix: random_.chance(0.3) };
    }
    case 1: {
      const value = random_.pick([...vocabulary, 'info', 'error', '0', '1']);
      const at = random_.int(value.length);
      const start = [value.slice(0, at), ''];
      // In a flattened field only the end is free.
      if (random_.chance(0.4)) {
        return {
          kind: 'field',
          fields: [random_.pick(['fields.x', 'fields.y.z'])],
          pattern: random_.pick([[value], start]),
        };
      }
      const pattern = random_.pick([[value], start, ['', value.slice(at)], ['', value.slice(0, at), '']]);
      const fields = random_.pick([['host.name'], ['log.level'], ['host.name', 'log.level']]);
      return { kind: 'field', fields, pattern: pattern.length === 3 && at === 0 ? ['', ''] : pattern };
    }
    case 2:
      return { kind: 'not', operand: randomQuery(random_, depth - 1) };
    case 3:
      return { kind: 'and', operands: operands() };
    default:
      return { kind: 'or', operands: operands() };
  }
}

/** Texts on which tokenizers differ. */
export const nastyTexts: readonly string[] = [
  'snake_case kebab-case dot.ted co:lon sl/ash',
  'ÄRGER ärger a\u0308rger naïve NAI\u0308VE Straße STRASSE',
  'İstanbul ISTANBUL ıstanbul istanbul',
  'ΟΔΟΣ οδος οδοσ Σίσυφος',
  'ПРИВЕТ мир',
  '日本語のログ 中文日志 한국어',
  'हिन्दी में लॉग',
  'می‌خواهم زبان',
  'x² ½ ① Ⅷ ⅷ ٣٤',
  '\u{1d400}\u{1d401} \u{10400}\u{10428} \u{1f600}smile\u{1f468}\u200d\u{1f469}',
  'zero\u200bwidth soft\u00adhyphen no\u00a0break narrow\u202fspace \ufeffbom',
  'tab\tnew\nline\u0000nul\u0085nel\u001bescape\u2028ls',
  'private\ue000use \u{f0000}plane',
  '©copy €100 a+b=c <tag> `tick` ~^|',
  '“smart” ‘quotes’ …dots —dash、。「」',
  'ﬁne ﬂow ＦＵＬＬ ｗｉｄｔｈ',
  'replacement\ufffdchar',
  'K\u212aelvin µmicro \u1e9e \u017flong',
  `${'a'.repeat(254)} ${'b'.repeat(255)} ${'c'.repeat(256)} ${'d'.repeat(600)}`,
  `${'e'.repeat(254)}\u{10400}tail ${'f'.repeat(255)}\u{10400}tail`,
  `${'ä'.repeat(300)} ${'Ü'.repeat(9000)}`,
  'SELECT * FROM t WHERE a=\'b\' -- "quoted" NEAR(x y) col : word ^first',
];
