import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import type { BlockFlags, BlockKind, Source, StoredBlock } from '../../ingest/block.ts';
import type { ImageLookup, ImageReference } from '../../ingest/images.ts';
import { createRenderer, type Renderer } from '../../ingest/parse/documents.ts';
import { joinDatagrams } from '../../ingest/parse/frames.ts';
import { quiet } from '../support/log.ts';
import { documentsIn, type RenderedDocument } from '../support/rendered.ts';

const arrival = Date.UTC(2026, 7, 3, 8) * 1000;
const forever = new AbortController().signal;
const start = { segment: 1, offset: 64 };
const source: Source = {
  listener: 'syslog-tcp',
  connection: '01'.repeat(16),
  peer: { address: '10.0.0.9', port: 4711 },
};
const segment = { id: 'ff'.repeat(16), base: 1_785_744_000_000_000 };

const container = 'ab'.repeat(32);
const config = `sha256:${'cd'.repeat(32)}`;
const manifest = `sha256:${'ef'.repeat(32)}`;
const facts = { manifests: [manifest], labels: { 'org.opencontainers.image.revision': 'f00ba4' } };
const tag = `v1|${container}|web-1|registry.corp:5000/team/web:1.4|${config}|node1|prod`;
const stamp = '2026-08-03T10:00:00.123456+02:00';
const line = (message: string, header = tag): string => `<30>1 ${stamp} node0 ${header} 912 ${header} - ${message}\n`;

interface Extra {
  readonly kind?: BlockKind;
  readonly flags?: BlockFlags;
  readonly source?: Source;
  readonly offset?: number;
}

function block(payload: string | Uint8Array, extra: Extra = {}): StoredBlock {
  return {
    kind: 'lf-stream',
    source,
    flags: {},
    offset: 100,
    arrivedAt: arrival,
    segment,
    ...extra,
    payload: Buffer.from(payload),
  };
}

const unknown: ImageLookup = async () => undefined;
const renderer = (lookup = unknown): ReturnType<typeof createRenderer> =>
  createRenderer({
    clusters: { fallback: 'default', reserved: new Set(['ruled']) },
    dataset: 'docker',
    namespace: 'main',
    lookup,
    log: quiet,
  });

async function all(from: Renderer, of: StoredBlock): Promise<RenderedDocument[]> {
  const rendering = from.open([]);
  const bulks = await Array.fromAsync(rendering.documents(of, start, forever));
  return [...bulks, rendering.end()].flatMap(documentsIn);
}

async function render(payload: string | Uint8Array, extra?: Extra, lookup?: ImageLookup): Promise<RenderedDocument[]> {
  return all(renderer(lookup), block(payload, extra));
}

async function parsed(
  payload: string | Uint8Array,
  extra?: Extra,
  lookup?: ImageLookup,
): Promise<Record<string, unknown>[]> {
  return (await render(payload, extra, lookup)).map(({ json }) => JSON.parse(json));
}

const json = (record: unknown, extra: Extra = {}): Promise<Record<string, unknown>[]> =>
  parsed(`${JSON.stringify(record)}\n`, { kind: 'json-records', ...extra });

test('a line of a tagged container becomes this document', async () => {
  const [rendered] = await render(line('GET /"x" 200\r'), {}, async () => facts);
  const { event, ...document } = JSON.parse(rendered?.json ?? '');
  expect(event).toEqual({
    created: '2026-08-03T08:00:00.000Z',
    ingested: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    sequence: segment.base + 100,
    dataset: 'docker',
  });
  expect(document).toEqual({
    '@timestamp': '2026-08-03T08:00:00.123456Z',
    message: 'GET /"x" 200',
    data_stream: { type: 'logs', dataset: 'docker', namespace: 'main' },
    host: { name: 'node1' },
    orchestrator: { cluster: { name: 'prod' } },
    container: {
      id: container,
      name: 'web-1',
      runtime: 'docker',
      image: { name: 'registry.corp:5000/team/web', tag: ['1.4'], hash: { all: [manifest] } },
      labels: { 'org.opencontainers.image.revision': 'f00ba4' },
    },
    log: {
      level: 'info',
      syslog: {
        priority: 30,
        facility: { code: 3 },
        severity: { code: 6 },
        appname: tag,
        procid: '912',
        msgid: tag,
      },
    },
    source: { ip: '10.0.0.9', port: 4711 },
    shiplog: { stream: 'stdout', image: { repository: 'team/web', revision: 'f00ba4' } },
  });
  expect(rendered?.record).toMatchObject({ timestamp: arrival + 123456, createdAt: arrival, host: 'node1' });
});

test.each<[what: string, payload: string | Uint8Array, extra: Extra]>([
  ['a line of a terminal', '<13>app: text\r\n', {}],
  ["a datagram of Python's", joinDatagrams([Buffer.from('<13>app: text\0')]), { kind: 'datagrams' }],
  ['a datagram with LF', joinDatagrams([Buffer.from('<13>app: text\n')]), { kind: 'datagrams' }],
  ["a line of Python's", '<13>app: text\0\n', {}],
])('what ends %s is no part of the message', async (_what, payload, extra) => {
  expect(await parsed(payload, extra)).toMatchObject([{ message: 'text' }]);
});

test('ids are 40 characters that sort as offsets and bases do', async () => {
  const ids = async (extra: Extra): Promise<string[]> =>
    (await render(line('a').repeat(50), extra)).map(({ id }) => id);
  const all = [...(await ids({ offset: 35 })), ...(await ids({ offset: 60_000_000 }))];
  expect(all).toEqual(all.toSorted());
  expect(new Set(all).size).toBe(100);
  expect(all.every((id) => /^[\w-]{40}$/.test(id))).toBe(true);
});

test('the same bytes cut into blocks otherwise give the same messages and ids, whatever was rendered before', async () => {
  const heads = [
    line('a').slice(0, -2),
    '<13>Aug  3 10:00:00 node1 web: ',
    'plain ',
    `<30>Aug  3 10:00:00 ${tag}[912]: `,
  ];
  const texts = fc.array(fc.tuple(fc.constantFrom(...heads), fc.string({ unit: 'binary' })), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(texts, async (lines) => {
      const frames = lines.map(([head, text]) => Buffer.from(`${head}${text.replaceAll('\n', '')}\n`));
      const strip = ({ id, json }: RenderedDocument): unknown => [id, json.replace(/"ingested":"[^"]*"/, '')];
      const whole = (await render(Buffer.concat(frames))).map(strip);
      let offset = 100;
      const single: unknown[] = [];
      for (const frame of frames) {
        single.push(...(await render(frame, { offset })).map(strip));
        offset += frame.length;
      }
      expect(whole).toEqual(single);
    }),
    { numRuns: 60 },
  );
});

test('no bytes make it throw, and each document is JSON', async () => {
  const kinds = fc.constantFrom<BlockKind>('lf-stream', 'octet-stream', 'datagrams', 'json-records');
  const flags = fc.record({ cut: fc.boolean(), continued: fc.boolean(), unterminated: fc.boolean() });
  const payloads = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json().map((text) => Buffer.from(`${text}\n`)),
  );
  await fc.assert(
    fc.asyncProperty(kinds, flags, payloads, async (kind, flags, payload) => {
      for (const document of await parsed(payload, { kind, flags })) expect(document).toHaveProperty('host.name');
    }),
    { numRuns: 300 },
  );
});

test.each([
  ['a rule for the sender wins over the line', { ...source, cluster: 'ruled' }, line('x'), 'ruled'],
  ['without a rule the line says it', source, line('x'), 'prod'],
  ['else the default', source, line('x', 'web'), 'default'],
])('cluster: %s', async (_, source, text, expected) => {
  const [document] = await parsed(text, { source });
  expect(document).toHaveProperty('orchestrator.cluster.name', expected);
});

test('nobody can name a cluster that the rules give to others', async () => {
  const [document] = await json({ message: 'x', cluster: 'ruled' });
  expect(document).toHaveProperty('orchestrator.cluster.name', 'default');
});

test('a JSON record cannot name another cluster than its sender has', async () => {
  const [document] = await json({ message: 'x', cluster: 'prod' }, { source: { ...source, cluster: 'ruled' } });
  expect(document).toHaveProperty('orchestrator.cluster.name', 'ruled');
});

test.each<[string, string, ImageLookup, ImageReference | undefined, string[] | undefined]>([
  [
    'an id that the registry knows',
    `v1|${container}|w|r.corp/web:1|${config}|n|c`,
    async () => facts,
    { repository: 'web', digest: config },
    [manifest],
  ],
  [
    'an id that it does not know is no manifest',
    `v1|${container}|w|r.corp/web:1|${config}|n|c`,
    unknown,
    { repository: 'web', digest: config },
    undefined,
  ],
  [
    'a digest in the name',
    `v1|${container}|w|web@${manifest}|${config}|n|c`,
    unknown,
    { repository: 'web', digest: manifest },
    [manifest],
  ],
  ['a tag alone', `v1|${container}|w|web:1||n|c`, async () => facts, undefined, undefined],
  ['an image named by its id', `v1|${container}|w|${config}|${config}|n|c`, async () => facts, undefined, undefined],
])('digest: %s', async (_, header, answer, asked, expected) => {
  const lookup = vi.fn(answer);
  const [document] = await parsed(line('x', header), {}, lookup);
  expect(lookup.mock.calls.map(([reference]) => reference)).toEqual(asked === undefined ? [] : [asked]);
  if (expected === undefined) expect(document).not.toHaveProperty('container.image.hash');
  else expect(document).toHaveProperty('container.image.hash.all', expected);
});

test('an image is looked up once, and a lookup that fails costs a line only what it would have told', async () => {
  const lookup = vi.fn<ImageLookup>().mockRejectedValue(new Error('away'));
  const failing = renderer(lookup);
  expect(await all(failing, block(line('x').repeat(3)))).toHaveLength(3);
  expect(lookup).toHaveBeenCalledTimes(1);
  expect(failing.counts).toMatchObject({ records: 3, lookupFailures: 1 });
});

test('a registry that does not answer holds up one line for two seconds, and none after it', async () => {
  vi.useFakeTimers();
  try {
    const slow = renderer(() => new Promise(() => undefined));
    const other = line('y', tag.replace('team/web', 'team/api'));
    const rendering = all(slow, block(line('x') + other));
    await vi.advanceTimersByTimeAsync(2000);
    expect(await rendering).toHaveLength(2);
    expect(slow.counts.lookupFailures).toBe(1);
  } finally {
    vi.useRealTimers();
  }
});

test('lines that name ever other images hold up the others half of the time at most, and few lookups run at once', async () => {
  vi.useFakeTimers();
  try {
    let [running, most] = [0, 0];
    const lookup = vi.fn<ImageLookup>(async () => {
      most = Math.max(most, (running += 1));
      await new Promise((resolve) => setTimeout(resolve, 500));
      running -= 1;
      return undefined;
    });
    const rendering = all(
      renderer(lookup),
      block(Array.from({ length: 900 }, (_, n) => line('x', tag.replace('team/web', `team/web${n}`))).join('')),
    );
    await vi.advanceTimersByTimeAsync(5500);
    expect(await rendering).toHaveLength(900);
    expect(most).toBe(64);
  } finally {
    vi.useRealTimers();
  }
});

test('an image that was not found is asked for again after ten seconds', async () => {
  vi.useFakeTimers();
  try {
    const lookup = vi.fn<ImageLookup>().mockResolvedValueOnce(undefined).mockResolvedValue(facts);
    const asking = renderer(lookup);
    for (const [wait, calls] of [
      [0, 1],
      [9000, 1],
      [2000, 2],
    ] as const) {
      await vi.advanceTimersByTimeAsync(wait);
      await all(asking, block(line('x')));
      expect(lookup).toHaveBeenCalledTimes(calls);
    }
    const [rendered] = await all(asking, block(line('x')));
    expect(rendered?.record.container?.image?.hash?.all).toEqual([manifest]);
  } finally {
    vi.useRealTimers();
  }
});

test.each<[string, Parameters<typeof parsed>, object]>([
  ['no syslog at all', ['hello\n'], { message: 'hello', tags: ['parse_failure'], host: { name: '10.0.0.9' } }],
  ['the first piece', ['<13>app: a\r', { flags: { cut: true } }], { message: 'a\r', tags: ['truncated'] }],
  ['a later piece', ['<13>app: b\n', { flags: { continued: true } }], { message: '<13>app: b', tags: ['truncated'] }],
  ['no end', ['<13>app: c', { flags: { unterminated: true } }], { message: 'c', tags: ['unterminated'] }],
  ['not UTF-8', [Buffer.from('<13>app: \xff\n', 'latin1')], { message: '\ufffd', tags: ['invalid_utf8'] }],
  ['control characters', ['<13>app: \0\u001b[1m\n'], { message: '\0\u001b[1m' }],
  ['a datagram with LF', [joinDatagrams([Buffer.from('<13>app: d\n')]), { kind: 'datagrams' }], { message: 'd' }],
  ['a counted frame', ['11 <13>app: e\n', { kind: 'octet-stream' }], { message: 'e' }],
  [
    'stderr',
    [line('f').replace('<30>', '<27>')],
    { shiplog: expect.objectContaining({ stream: 'stderr' }), log: expect.objectContaining({ level: 'error' }) },
  ],
  [
    'a stamp that was replaced',
    ['<13>Aug  1 10:00:00 h app: g\n'],
    { '@timestamp': '2026-08-03T08:00:00.000Z', shiplog: { time_original: 'Aug  1 10:00:00' } },
  ],
])('a record of %s', async (_, args, expected) => {
  const documents = await parsed(...args);
  expect(documents).toHaveLength(1);
  expect(documents[0]).toMatchObject(expected);
});

test('a block of many tiny records is rendered some at a time, and never held as a whole', async () => {
  const many = renderer();
  const sizes: number[] = [];
  for await (const part of many
    .open([])
    .documents(block('{}\n'.repeat(10_000), { kind: 'json-records' }), start, forever)) {
    sizes.push(part.records);
    expect(many.counts.records).toBe(sizes.reduce((sum, size) => sum + size, 0));
  }
  expect(many.counts.records).toBe(10_000);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1000);
});

test('empty lines are no records, but counted', async () => {
  const empty = renderer();
  expect(await all(empty, block('\n\r\n<13>app: x\n\n'))).toHaveLength(1);
  expect(empty.counts).toMatchObject({ records: 1, emptyFrames: 3 });
});

test('a JSON record with short names', async () => {
  const record = {
    msg: 'hi',
    time: 1785744000500,
    level: 'WARN',
    host: 'h1',
    cluster: 'c1',
    container: 'web',
    image: 'r.corp/team/web:2',
    stream: 'stderr',
    tags: ['a'],
    user: { id: 7 },
    'a.b': [1, null],
  };
  const [document] = await json(record);
  expect(document).toMatchObject({
    '@timestamp': '2026-08-03T08:00:00.500Z',
    message: 'hi',
    log: { level: 'warn' },
    host: { name: 'h1' },
    orchestrator: { cluster: { name: 'c1' } },
    container: { name: 'web', image: { name: 'r.corp/team/web', tag: ['2'] } },
    shiplog: { stream: 'stderr', image: { repository: 'team/web' } },
    tags: ['a'],
  });
  expect(document?.['fields']).toEqual({ user: { id: 7 }, 'a.b': [1, null] });
});

test.each([
  [
    'nested',
    {
      message: 'm',
      service: { name: 's', x: 1 },
      trace: { id: 't' },
      host: { name: 'h', ip: '::1' },
      log: { level: 'Info' },
      error: { message: 'e' },
    },
  ],
  [
    'dotted',
    {
      message: 'm',
      'service.name': 's',
      'trace.id': 't',
      'host.name': 'h',
      'log.level': 'Info',
      'error.message': 'e',
      service: { x: 1 },
      host: { ip: '::1' },
    },
  ],
])('a JSON record with ECS names, %s', async (_, record) => {
  const [document] = await json(record);
  expect(document).toMatchObject({
    message: 'm',
    service: { name: 's' },
    trace: { id: 't' },
    host: { name: 'h' },
    log: { level: 'info' },
    error: { message: 'e' },
  });
  expect(document?.['fields']).toEqual({ service: { x: 1 }, host: { ip: '::1' } });
});

test('what shiplog says itself is not for a JSON record to say', async () => {
  const claims = {
    data_stream: { dataset: 'x' },
    event: { dataset: 'x', sequence: 1 },
    source: { ip: '1.2.3.4' },
    container: { image: { hash: { all: ['x'] } } },
  };
  const [document] = await json({ message: 'm', ...claims });
  expect(document).toMatchObject({
    data_stream: { dataset: 'docker' },
    event: { dataset: 'docker', sequence: segment.base + 100 },
    source: { ip: '10.0.0.9' },
  });
  expect(document).not.toHaveProperty('container');
  expect(document?.['fields']).toEqual(claims);
});

test('a JSON record without a message has its own text as one, and its sender as host', async () => {
  const [document] = await json({ a: 1 });
  expect(document).toMatchObject({ message: '{"a":1}', host: { name: '10.0.0.9' }, fields: { a: 1 } });
});

test('a number that JavaScript cannot hold is kept as the text that it came as', async () => {
  const text =
    '{"message":"m","trace.id":12345678901234567890,"id":-9007199254740993,"huge":1e999,"tiny":1e-999,"n":1e3,"half":0.50,' +
    '"list":[0.12345678901234567890,12345678901234567168,-0.0],"time":1785744000123456789}\n';
  const [document] = await parsed(text, { kind: 'json-records' });
  expect(document).toMatchObject({
    '@timestamp': '2026-08-03T08:00:00.123457Z',
    trace: { id: '12345678901234567890' },
    fields: {
      id: '-9007199254740993',
      huge: '1e999',
      tiny: '1e-999',
      n: 1000,
      half: 0.5,
      list: ['0.12345678901234567890', '12345678901234567168', 0],
    },
  });
});

test('no document says a key twice, whatever a record says', async () => {
  const keys =
    'message msg log log.level level error error.message service service.name trace trace.id host host.name tags fields event shiplog shiplog.stream stream container container.image container.image.name container.image.tag image cluster orchestrator __proto__ constructor toJSON name id syslog tag type time source data_stream'
      .split(' ')
      .concat('', '\0', '\ud800', 'k'.repeat(300), `${'k'.repeat(299)}x`);
  const { value } = fc.letrec<{ value: string; object: string }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('""', '"x"', '1', '1e999', 'null', '"\\ud800\\u0000"'),
      tie('object'),
    ),
    object: fc
      .array(fc.tuple(fc.constantFrom(...keys), tie('value')), { maxLength: 8 })
      .map((members) => `{${members.map(([key, member]) => `${JSON.stringify(key)}:${member}`).join(',')}}`),
  }));
  const records = fc.array(fc.tuple(fc.constantFrom(...keys), value), { maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(records, async (members) => {
      const text = `{${members.map(([key, member]) => `${JSON.stringify(key)}:${member}`).join(',')}}\n`;
      const [rendered] = await render(text, { kind: 'json-records' });
      const json = rendered?.json ?? '';
      // Written once more by JavaScript, which keeps the last of two, it would be shorter.
      expect(JSON.stringify(JSON.parse(json))).toBe(json);
    }),
  );
});

test('__proto__ is a key like another; keys are cut, NULs replaced, and depth bounded', async () => {
  const deep = `${'{"d":'.repeat(30)}1${'}'.repeat(30)}`;
  const text = `{"message":"m","__proto__":{"polluted":1},"${'k'.repeat(5000)}":1,"a\\u0000b":2,"deep":${deep}}\n`;
  const [rendered] = await render(text, { kind: 'json-records' });
  const fields = JSON.parse(rendered?.json ?? '').fields;
  expect(Object.keys(fields)).toEqual(['__proto__', 'k'.repeat(255), 'a\ufffdb', 'deep']);
  expect(JSON.stringify(fields).split('"d":{').length).toBeLessThan(9);
  expect({}).not.toHaveProperty('polluted');
});

test('what is kept of a header does not keep the block that it came in', async () => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new Error('no gc');
  const used = (): number => {
    collect();
    return process.memoryUsage().heapUsed / 1024 / 1024;
  };
  const kept = renderer();
  const before = used();
  for (let n = 0; n < 100; n += 1) {
    expect(await all(kept, block(line('x'.repeat(512 * 1024), `app${n}`)))).toHaveLength(1);
  }
  expect(used() - before).toBeLessThan(15);
  expect(kept.counts.records).toBe(100);
});

test('a document has no member twice, also where the application and the parser each tell of an error', async () => {
  const [rendered] = await render(
    '{"level":"error","msg":"failed","error":"no space","log":{"a":1},"service":{"b":1}}\n',
  );
  const { json } = rendered ?? { json: '' };
  expect(JSON.parse(json)).toMatchObject({ error: { message: 'no space' }, tags: ['parse_failure'] });
  expect(json.match(/"error":\{/g)).toHaveLength(1);
  expect(json.match(/"log":\{"level"/g)).toHaveLength(1);
});
