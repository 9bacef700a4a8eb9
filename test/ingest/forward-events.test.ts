import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readForwardEvent } from '../../ingest/parse/forward.ts';
import { bodyOf, endOfValue, placesIn, ValueScanner } from '../../ingest/parse/msgpack-scan.ts';
import { array, eventTime, map, pack, text } from '../support/forward.ts';
import { documentsOf, messages, noon } from '../support/rendering.ts';

const [id, digest, manifest] = ['ab'.repeat(32), `sha256:${'cd'.repeat(32)}`, `sha256:${'ef'.repeat(32)}`];
const tag = `v1|${id}|web-1|r.corp/team/web:1.4|${digest}|node1|prod`;

/** An event as Docker's driver writes it. */
const docker = (log: string | Uint8Array, more: Record<string, string> = {}): Buffer =>
  array(
    pack(eventTime(noon / 1000 + 250)),
    map({
      container_id: pack(id),
      container_name: pack('/web-1'),
      source: pack('stdout'),
      log: text(Buffer.from(log)),
      ...Object.fromEntries(Object.entries(more).map(([key, value]) => [key, pack(value)])),
    }),
  );

test("a line of Docker's fluentd driver is the document that its syslog driver's is, with the labels that it sends", async () => {
  const facts = { manifests: [manifest], labels: { 'org.opencontainers.image.revision': '4f2a' } };
  const block = messages('forward', [tag, docker('hello', { team: 'web', VERSION: '1' })]);
  const [document] = await documentsOf([block], facts);
  expect(document).toEqual({
    '@timestamp': '2026-11-24T12:00:00.250Z',
    message: 'hello',
    event: {
      created: '2026-11-24T12:00:00.000Z',
      ingested: expect.any(String),
      sequence: noon + 168 + tag.length,
      dataset: 'docker',
    },
    data_stream: { type: 'logs', dataset: 'docker', namespace: 'main' },
    host: { name: 'node1' },
    orchestrator: { cluster: { name: 'prod' } },
    container: {
      id,
      name: 'web-1',
      runtime: 'docker',
      image: { name: 'r.corp/team/web', tag: ['1.4'], hash: { all: [manifest] } },
      labels: { 'org.opencontainers.image.revision': '4f2a', team: 'web', VERSION: '1' },
    },
    source: { ip: '10.0.0.9', port: 4711 },
    shiplog: { stream: 'stdout', image: { repository: 'team/web', revision: '4f2a' } },
  });
});

test('what the sender may not say, its address and its token do: a cluster that rules give to others, and a host', async () => {
  const event = array(pack(1), pack({ container_id: id, source: 'stderr', log: 'x' }));
  const guarded = [tag.replace('prod', 'guarded'), event];
  const fixed = { cluster: 'given', host: 'told' };
  const documents = await documentsOf([
    messages('forward', guarded),
    messages('forward', guarded, { from: { connection: '2'.repeat(32), ...fixed } }),
  ]);
  expect(documents).toMatchObject([
    { host: { name: 'node1' }, orchestrator: { cluster: { name: 'default' } }, shiplog: { stream: 'stderr' } },
    { host: { name: 'told' }, orchestrator: { cluster: { name: 'given' } } },
  ]);
});

test("the parts of a long line are one record, with the characters that the cuts went through, however others' lie between", async () => {
  const line = Buffer.from(`${'a'.repeat(16_383)}é${'b'.repeat(20_000)}€`);
  const cuts = [line.subarray(0, 16_384), line.subarray(16_384, 32_768), line.subarray(32_768)];
  const parts = (partial: string): Buffer[] =>
    cuts.map((cut, n) =>
      docker(cut, {
        partial_message: 'true',
        partial_id: partial,
        partial_ordinal: String(n + 1),
        partial_last: String(n === 2),
      }),
    );
  const [one, two] = [parts('one'), parts('two')];
  const mixed = one.flatMap((part, n) => [part, docker('between'), two[n] ?? part]);
  const found = await documentsOf(mixed.map((frame) => messages('forward', [tag, frame])));
  const texts = found.map(({ message }) => message);
  expect(texts.filter((message) => message === 'between')).toHaveLength(3);
  expect(texts.filter((message) => message === line.toString())).toHaveLength(2);
  expect(found).toHaveLength(5);
  expect(found.filter((document) => 'tags' in document)).toEqual([]);
});

test('a long line is whole with its last part; that of another connection has no part of it', async () => {
  const part = (log: string, last: boolean): Buffer =>
    docker(log, { partial_message: 'true', partial_id: 'p', partial_last: String(last) });
  const other = { from: { connection: '2'.repeat(32) } };
  const found = await documentsOf([
    messages('forward', [tag, part('a', false)]),
    messages('forward', [tag, part('b', true)], other),
    messages('forward', [tag, part('c', true), docker('next')]),
  ]);
  expect(found.map(({ message }) => message)).toEqual(['b', 'ac', 'next']);
});

test('a part whose last never comes is a record when the reading ends', async () => {
  const part = docker('x'.repeat(16_384), { partial_message: 'true', partial_id: 'p', partial_last: 'false' });
  expect(await documentsOf([messages('forward', [tag, part, docker('y')])])).toMatchObject([
    { message: 'y' },
    { message: 'x'.repeat(16_384) },
  ]);
});

test('a line whose parts go on without end, and say nothing, is whole after a while', async () => {
  const part = docker('', { partial_message: 'true', partial_id: 'p', partial_last: 'false' });
  const found = await documentsOf([messages('forward', [tag, ...Array.from({ length: 600 }, () => part)])]);
  expect(found).toMatchObject([{ tags: ['truncated'] }, { tags: ['truncated'] }, { message: '' }]);
});

test.each<[string, Buffer, object]>([
  [
    'what reads files',
    array(pack(eventTime(noon / 1000)), pack({ log: 'hi\r\n', stream: 'stderr', n: 2 ** 40 })),
    {
      message: 'hi',
      fields: { n: 2 ** 40, tag: 't' },
      shiplog: { stream: 'stderr' },
      host: { name: '10.0.0.9' },
    },
  ],
  [
    "a program's record",
    array(pack(noon / 1e6), pack({ message: 'm', level: 'WARN', host: 'h', nested: { a: [1, null] } })),
    { message: 'm', log: { level: 'warn' }, host: { name: 'h' }, fields: { nested: { a: [1, null] }, tag: 't' } },
  ],
  ['a record without a text', array(pack(1), pack({ a: 1 })), { message: '{"a":1}', fields: { a: 1, tag: 't' } }],
  [
    'an event with what fluent-bit knows beside it',
    array(array(pack(eventTime(noon / 1000 - 5000)), pack({})), pack({ log: 'x' })),
    { '@timestamp': '2026-11-24T11:59:55.000Z', message: 'x' },
  ],
  [
    'integers of 64 bits',
    array(pack(1), map({ log: pack('x'), n: Buffer.from('cfffffffffffffffff', 'hex') })),
    { fields: { n: '18446744073709551615', tag: 't' } },
  ],
  [
    'keys that JavaScript means something by',
    array(pack(1), map({ log: pack('x'), ['__proto__']: pack('p'), constructor: pack('c') })),
    { fields: JSON.parse('{"__proto__":"p","constructor":"c","tag":"t"}') },
  ],
  [
    'bytes that are no UTF-8',
    array(pack(1), map({ container_id: pack(id), source: pack('stdout'), log: text(Buffer.from([0x61, 0xff])) })),
    { message: 'a\ufffd', tags: ['invalid_utf8'] },
  ],
  [
    'more keys than anyone logs',
    array(pack(1), pack(Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`k${n}`, n])))),
    { message: expect.stringMatching(/^\{"k0":0,/), fields: { tag: 't' } },
  ],
])('%s', async (_, frame, expected) => {
  const [document] = await documentsOf([messages('forward', ['t', frame])]);
  expect(document).toMatchObject(expected);
});

test('a time without a fraction, close to the arrival, is the arrival; one far from it is not believed', async () => {
  const at = (time: unknown): Buffer => array(pack(time), pack({ log: 'x' }));
  const found = await documentsOf([
    messages('forward', ['t', at(noon / 1e6 - 1), at(noon / 1e6 - 60), at(1), at('x')]),
  ]);
  expect(found.map((document) => document['@timestamp'])).toEqual([
    '2026-11-24T12:00:00.000Z',
    '2026-11-24T11:59:00.000Z',
    '2026-11-24T12:00:00.000Z',
    '2026-11-24T12:00:00.000Z',
  ]);
});

test('what is no event is a record that says so', async () => {
  const [document] = await documentsOf([messages('forward', ['t', Buffer.from([0xc1, 0x41])])]);
  expect(document).toMatchObject({ message: 'ÁA', tags: ['parse_failure'], error: { message: /forward protocol/ } });
});

describe('msgpack', () => {
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.string({ unit: 'binary' }),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(tie('value'), { maxLength: 20 }),
      fc.dictionary(fc.string(), tie('value'), { maxKeys: 20, noNullPrototype: true }),
    ),
  })).value;

  test('a value ends where it does, whatever chunks it comes in, and not before', () => {
    fc.assert(
      fc.property(value, fc.infiniteStream(fc.integer({ min: 1, max: 9 })), (any, steps) => {
        const bytes = pack(any);
        const scanner = new ValueScanner();
        for (let length = 0; length < bytes.length; length += steps.next().value ?? 1) {
          expect(scanner.scan(bytes.subarray(0, length))).toBe('more');
        }
        expect(scanner.scan(Buffer.concat([bytes, Buffer.from([0xc1])]))).toBe(bytes.length);
      }),
    );
  });

  test('each value of a short array has its place', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 15 }), (values) => {
        const bytes = pack(values);
        const places = placesIn(bytes) ?? [];
        expect(places).toHaveLength(values.length + 1);
        expect(places.at(-1)).toBe(bytes.length);
        const parts = values.map((one, n) => [pack(one), bytes.subarray(places[n], places[n + 1])] as const);
        for (const [one, part] of parts) expect(part.equals(one)).toBe(true);
      }),
    );
  });

  test.each([0, 15, 31, 32, 255, 256, 65_535, 65_536])('what a text or an array of %i holds is found', (length) => {
    expect(bodyOf(pack('x'.repeat(length)))).toEqual({ kind: 'text', bytes: Buffer.from('x'.repeat(length)) });
    expect(bodyOf(pack(Buffer.alloc(length, 1)))).toEqual({ kind: 'text', bytes: Buffer.alloc(length, 1) });
    const values = pack(Array.from({ length }, () => 1));
    expect(bodyOf(values)).toEqual({ kind: 'array', bytes: Buffer.alloc(length, 1) });
  });

  test.each([1, -1, 1.5, null, true, {}, 2 ** 40])('%j holds neither', (value) => {
    expect(bodyOf(pack(value))).toBeUndefined();
  });

  test.each([
    ['a byte that nothing starts with', Buffer.from([0xc1]), 'bad'],
    ['nesting beyond what anyone sends', Buffer.alloc(1000, 0x91), 'bad'],
    ['an array longer than what follows', Buffer.from('ddffffffff', 'hex'), 'more'],
    ['arrays in arrays, each longer than memory', Buffer.from('dd00ffffff'.repeat(20), 'hex'), 'more'],
    ['a map that says it has four billion members', Buffer.from('dfffffffff0102', 'hex'), 'more'],
  ])('%s is %s', (_, bytes, outcome) => {
    expect(new ValueScanner().scan(bytes)).toBe(outcome);
    expect(endOfValue(bytes, 0)).toBeUndefined();
    expect(readForwardEvent('t', bytes, noon)).toBeUndefined();
  });

  test('whatever the bytes, reading them as an event does not throw', () => {
    const events = fc.tuple(value, value).map((all) => pack(all));
    const damaged = fc.tuple(events, fc.nat(), fc.nat({ max: 255 })).map(([bytes, at, byte]) => {
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(events, damaged, fc.uint8Array({ maxLength: 60 })), (bytes) => {
        const read = readForwardEvent('t', bytes, noon);
        if (read !== undefined) expect(() => JSON.stringify(read)).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });
});
