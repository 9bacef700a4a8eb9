import { Client } from '@elastic/elasticsearch';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { analysis, words } from '../../ingest/query/words.ts';
import { readClocks } from '../../ingest/sinks/elasticsearch-clocks.ts';
import { openElasticsearch, type ElasticsearchOptions } from '../../ingest/sinks/elasticsearch.ts';
import { bulkOf, document, noon } from '../support/documents.ts';
import { quiet } from '../support/log.ts';
import { sinkContract, type SinkUnderTest } from '../support/sink-contract.ts';
import { startCutting } from './support/cutting-proxy.ts';
import { startElasticsearch, type Elasticsearch } from './support/elasticsearch.ts';

const forever = new AbortController().signal;
let server: Elasticsearch;
let client: Client;
let streams = 0;

beforeAll(async () => {
  server = await startElasticsearch();
  client = new Client({ node: server.url });
});

afterAll(async () => {
  await client.close();
  await server[Symbol.asyncDispose]();
});

/** A data stream cannot be deleted there: each test has one of its own. */
async function open(options: Partial<ElasticsearchOptions> = {}): Promise<SinkUnderTest & { stream: string }> {
  streams += 1;
  const dataset = `test${streams}`;
  const sink = openElasticsearch({ nodes: [server.url], dataset, namespace: 'peers', log: quiet, ...options });
  const stream = `logs-${dataset}-peers`;
  return {
    sink,
    stream,
    settled: async () => void (await client.indices.refresh({ index: stream })),
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  };
}

describe('the sink’s contract', () => {
  sinkContract(open);
});

test('every code point is cut and folded as the embedded store does it, but for those that are new in Unicode', async () => {
  await client.indices.create({ index: 'words', settings: { analysis, 'index.analyze.max_token_count': 100_000 } });
  const different: number[] = [];
  for (let start = 0; start <= 0x10ffff; start += 8000) {
    const points = Array.from({ length: 8000 }, (_, index) => start + index).filter(
      (point) => point <= 0x10ffff && (point < 0xd800 || point > 0xdfff),
    );
    const texts = points.map((point) => `q${String.fromCodePoint(point)}z`);
    const { tokens = [] } = await client.indices.analyze({ index: 'words', analyzer: 'shiplog_words', text: texts });
    // Each text starts at a higher offset than the one before, by one more than its length.
    let [offset, token] = [0, 0];
    texts.forEach((text, index) => {
      const found: string[] = [];
      const end = offset + text.length;
      for (; (tokens[token]?.start_offset ?? Infinity) < end; token += 1) found.push(tokens[token]?.token ?? '');
      if (JSON.stringify(found) !== JSON.stringify(words(text))) different.push(points[index] ?? -1);
      offset = end + 1;
    });
  }
  // Java 25 knows Unicode 16, Node 24 knows Unicode 17.
  expect(different.length).toBeLessThan(200);
  expect(different.filter((point) => point < 0x20c1 || /\p{Cn}/v.test(String.fromCodePoint(point)))).toEqual([]);
});

test('the stream is a data stream under shiplog’s template, with its types and its retention', async () => {
  await using under = await open({ retention: 30 * 86_400_000 });
  await under.sink.deliver(bulkOf([document({ id: 'a', time: noon })]), forever);
  const resolved = await client.indices.resolveIndex({ name: under.stream });
  expect(resolved.data_streams.map(({ name }) => name)).toEqual([under.stream]);
  const template = await client.indices.getIndexTemplate({ name: `shiplog-${under.stream}` });
  expect(template.index_templates[0]?.index_template.template?.lifecycle).toMatchObject({ data_retention: '30d' });
  const fields = await client.fieldCaps({ index: under.stream, fields: '*' });
  const types = Object.fromEntries(Object.entries(fields.fields).map(([name, kinds]) => [name, Object.keys(kinds)]));
  expect(types).toMatchObject({
    '@timestamp': ['date'],
    message: ['text'],
    'host.name': ['keyword'],
    'event.sequence': ['long'],
    'container.image.hash.all': ['keyword'],
    fields: ['flattened'],
    'source.ip': ['ip'],
  });
});

test('documents that are to blame are rejected one by one, and the rest of their bulk is stored', async () => {
  await using under = await open();
  const wrong = [
    { log: { syslog: { priority: 'high' } } },
    { source: { ip: 'nowhere' } },
    { fields: { ['k'.repeat(40_000)]: 'v' } },
    { fields: 'no object' },
    { host: 'a scalar' },
    { message: { an: 'object' } },
  ];
  const documents = [
    document({ id: 'good-1', time: noon }),
    ...wrong.map((fields, index) => document({ id: `wrong-${index}`, time: noon, fields })),
    document({
      id: 'good-2',
      time: noon,
      fields: { fields: { long: 'x'.repeat(40_000) }, unknown: { deep: [1, {}] } },
    }),
  ];
  const outcomes = await under.sink.deliver(bulkOf(documents), forever);
  expect(outcomes.map(({ status }) => status)).toEqual(['indexed', ...wrong.map(() => 'rejected'), 'indexed']);
});

test('a block on the index means again later, for each document', async () => {
  await using under = await open();
  await under.sink.deliver(bulkOf([document({ id: 'a', time: noon })]), forever);
  const block = (on: boolean): Promise<unknown> =>
    client.indices.putSettings({ index: under.stream, settings: { 'index.blocks.write': on } });
  await block(true);
  const [outcome] = await under.sink.deliver(bulkOf([document({ id: 'b', time: noon })]), forever);
  expect(outcome).toMatchObject({ status: 'retry', reason: expect.stringContaining('cluster_block_exception') });
  await block(false);
  expect(await under.sink.deliver(bulkOf([document({ id: 'b', time: noon })]), forever)).toEqual([
    { status: 'indexed' },
  ]);
});

test('while a shard is red its documents are to be sent again, and are stored once it is there', async () => {
  await using under = await open();
  await under.sink.deliver(bulkOf([document({ id: 'a', time: noon })]), forever);
  const custom = `logs-${under.stream.split('-')[1]}@custom`;
  const settings = { 'index.routing.allocation.require._name': 'nowhere' };
  await client.cluster.putComponentTemplate({ name: custom, template: { settings } });
  await client.indices.rollover({ alias: under.stream, wait_for_active_shards: 0 });
  const [outcome] = await under.sink.deliver(bulkOf([document({ id: 'b', time: noon })]), forever);
  expect(outcome).toMatchObject({ status: 'retry', reason: expect.stringContaining('unavailable_shards_exception') });
  const free = { 'index.routing.allocation.require._name': null };
  await client.indices.putSettings({ index: under.stream, settings: free });
  await client.cluster.health({ index: under.stream, wait_for_status: 'yellow' });
  expect(await under.sink.deliver(bulkOf([document({ id: 'b', time: noon })]), forever)).toEqual([
    { status: 'indexed' },
  ]);
});

test('the stream is in LogsDB mode where the server has it', async () => {
  await using under = await open();
  await under.sink.deliver(bulkOf([document({ id: 'a', time: noon })]), forever);
  const settings = await client.indices.getSettings({ index: under.stream, flat_settings: true });
  expect(Object.values(settings).map(({ settings }) => settings?.['index.mode'])).toEqual(['logsdb']);
});

test('a bulk whose answer was lost before a rollover leaves each record there once, where it was first', async () => {
  await using under = await open();
  const proxy = await startCutting(server.url);
  await using through = openElasticsearch({
    nodes: [proxy.url],
    dataset: under.stream.split('-')[1] ?? '',
    namespace: 'peers',
    log: quiet,
  });
  const documents = (...ids: string[]) => ids.map((id) => document({ id, time: noon }));
  await through.deliver(bulkOf(documents('a')), forever);
  proxy.cutting = true;
  await expect(through.deliver(bulkOf(documents('b', 'c')), forever)).rejects.toMatchObject({ code: 'unavailable' });
  proxy.cutting = false;
  await client.indices.rollover({ alias: under.stream });
  expect(await through.deliver(bulkOf(documents('b', 'c', 'd')), forever)).toEqual(
    ['b', 'c', 'd'].map(() => ({ status: 'indexed' })),
  );
  await proxy[Symbol.asyncDispose]();
  await under.settled();
  const found = await client.search({ index: under.stream, _source: false });
  const places = found.hits.hits.map(({ _id, _index }) => `${_id}${_index.slice(-1)}`);
  expect(places.toSorted()).toEqual(['a1', 'b1', 'c1', 'd2']);
  expect(through.possibleDuplicates).toBe(0);
  // Another life does not know what this one sent.
  await client.indices.rollover({ alias: under.stream });
  expect(await under.sink.deliver(bulkOf(documents('d')), forever)).toEqual([{ status: 'indexed' }]);
  await under.settled();
  expect((await client.count({ index: under.stream })).count).toBe(4);
});

test('a template that is gone is put again', async () => {
  await using under = await open();
  await under.sink.search({ limit: 1 }, forever);
  await expect.poll(() => client.indices.existsIndexTemplate({ name: `shiplog-${under.stream}` })).toBe(true);
  await client.indices.deleteIndexTemplate({ name: `shiplog-${under.stream}` });
  const one = [document({ id: 'a', time: noon })];
  await expect(under.sink.deliver(bulkOf(one), forever)).rejects.toMatchObject({ code: 'refused' });
  expect(await under.sink.deliver(bulkOf(one), forever)).toEqual([{ status: 'indexed' }]);
});

test('the clock of each node can be read', async () => {
  const before = Date.now();
  const clocks = await readClocks({ nodes: [server.url] }, forever);
  expect(clocks).toHaveLength(1);
  expect(clocks[0]).toBeGreaterThan(before - 5000);
  expect(clocks[0]).toBeLessThan(Date.now() + 5000);
});

test('a search before the first document finds nothing', async () => {
  await using under = await open();
  expect(await under.sink.search({ limit: 10 }, forever)).toEqual({ records: [] });
});

describe('under strain', () => {
  let small: Elasticsearch;
  beforeAll(async () => {
    const settings = ['http.max_content_length: 100kb', 'indexing_pressure.memory.limit: 300kb'].join('\n');
    small = await startElasticsearch({ password: 'a secret', settings });
  });
  afterAll(() => small[Symbol.asyncDispose]());

  const auth = { username: 'elastic', password: 'a secret' };
  const text = (length: number): string => 'word '.repeat(length / 5);

  test('a bulk that is too large is split, and a document that is too large alone is rejected', async () => {
    await using under = await open({ nodes: [small.url], auth });
    const sizes = [30_000, 30_000, 200_000, 30_000, 30_000, 30_000];
    const documents = sizes.map((size, index) => document({ id: `${index}`, time: noon, message: text(size) }));
    const outcomes = await under.sink.deliver(bulkOf(documents), forever);
    expect(outcomes.map(({ status }) => status)).toEqual([
      'indexed',
      'indexed',
      'rejected',
      'indexed',
      'indexed',
      'indexed',
    ]);
  });

  test('too many bulks at once are unavailable or to be tried again, and each document is stored in the end', async () => {
    await using under = await open({ nodes: [small.url], auth });
    let waiting = Array.from({ length: 60 }, (_, index) =>
      document({ id: `${index}`, time: noon, message: text(50_000) }),
    );
    const strained: unknown[] = [];
    for (let round = 0; round < 50 && waiting.length > 0; round += 1) {
      const attempts = await Promise.allSettled(waiting.map((one) => under.sink.deliver(bulkOf([one]), forever)));
      const left = attempts.map((attempt) => {
        if (attempt.status === 'rejected') expect(attempt.reason).toMatchObject({ code: 'unavailable' });
        else if (attempt.value[0]?.status !== 'retry') return false;
        return strained.push(attempt) > 0;
      });
      waiting = waiting.filter((_, index) => left[index]);
    }
    expect(waiting).toEqual([]);
    expect(strained.length).toBeGreaterThan(0);
  });

  test('wrong credentials are refused with what to do, right ones and API keys are let in', async () => {
    const one = [document({ id: 'a', time: noon })];
    await using wrong = await open({ nodes: [small.url], auth: { username: 'elastic', password: 'wrong' } });
    await expect(wrong.sink.deliver(bulkOf(one), forever)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/401.*Check the user and password/),
    });
    const admin = new Client({ node: small.url, auth });
    const key = await admin.security.createApiKey({ name: 'shiplog' });
    const reader = await admin.security.createApiKey({
      name: 'reader',
      role_descriptors: { reader: { cluster: ['monitor'], indices: [{ names: ['logs-*'], privileges: ['read'] }] } },
    });
    await using keyed = await open({ nodes: [small.url], auth: { apiKey: key.encoded } });
    expect(await keyed.sink.deliver(bulkOf(one), forever)).toEqual([{ status: 'indexed' }]);
    await using reading = await open({ nodes: [small.url], auth: { apiKey: reader.encoded } });
    await expect(reading.sink.deliver(bulkOf(one), forever)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/POST \/_security\/api_key .*manage_index_templates/),
    });
    await admin.close();
  });

  test('a key that ends is refused with what to do, and what it stored before is known when there is another', async () => {
    const admin = new Client({ node: small.url, auth });
    const key = await admin.security.createApiKey({ name: 'short' });
    await using keyed = await open({ nodes: [small.url], auth: { apiKey: key.encoded } });
    const [one, two] = ['a', 'b'].map((id) => document({ id, time: noon }));
    if (one === undefined || two === undefined) throw new Error('no documents');
    await keyed.sink.deliver(bulkOf([one]), forever);
    await admin.security.invalidateApiKey({ ids: [key.id] });
    const refused = { code: 'refused', message: expect.stringMatching(/401.*API key/) };
    await expect(keyed.sink.deliver(bulkOf([one, two]), forever)).rejects.toMatchObject(refused);
    await using next = await open({ nodes: [small.url], auth, dataset: keyed.stream.split('-')[1] ?? '' });
    const outcomes = await next.sink.deliver(bulkOf([one, two]), forever);
    expect(outcomes.map(({ status }) => status)).toEqual(['duplicate', 'indexed']);
    await admin.close();
  });

  test('the key that the advice names is enough; where an administrator put the templates, less is', async () => {
    const admin = new Client({ node: small.url, auth });
    await using first = await open({ nodes: [small.url], auth });
    await first.sink.deliver(bulkOf([document({ id: 'a', time: noon })]), forever);
    const key = async (cluster: string[]): Promise<{ apiKey: string }> => {
      const privileges = [
        'auto_configure',
        'create_doc',
        'read',
        'view_index_metadata',
        'manage_data_stream_lifecycle',
      ];
      const indices = [{ names: ['logs-*-*'], privileges }];
      const made = await admin.security.createApiKey({ name: 'a', role_descriptors: { a: { cluster, indices } } });
      return { apiKey: made.encoded };
    };
    const enough = await key(['monitor', 'manage_index_templates']);
    await using full = await open({ nodes: [small.url], auth: enough, retention: 86_400_000 });
    expect(await full.sink.deliver(bulkOf([document({ id: 'b', time: noon })]), forever)).toEqual([
      { status: 'indexed' },
    ]);
    const dataset = first.stream.split('-')[1] ?? '';
    await using less = await open({ nodes: [small.url], auth: await key(['monitor']), dataset });
    expect(await less.sink.deliver(bulkOf([document({ id: 'c', time: noon })]), forever)).toEqual([
      { status: 'indexed' },
    ]);
    await admin.close();
  });
});

test('away means unavailable; once it is back, what was stored is a duplicate and the rest is stored', async () => {
  await using under = await open();
  await under.sink.deliver(bulkOf([document({ id: 'a', time: noon })]), forever);
  await server.kill();
  const both = ['a', 'b'].map((id) => document({ id, time: noon }));
  await expect(under.sink.deliver(bulkOf(both), forever)).rejects.toMatchObject({
    name: 'SinkError',
    code: 'unavailable',
  });
  await expect(under.sink.search({ limit: 1 }, forever)).rejects.toMatchObject({ code: 'unavailable' });
  await server.start();
  const outcomes = await under.sink.deliver(bulkOf(both), forever);
  expect(outcomes.map(({ status }) => status)).toEqual(['duplicate', 'indexed']);
  await under.settled();
  expect((await under.sink.search({ limit: 10 }, forever)).records).toHaveLength(2);
});
