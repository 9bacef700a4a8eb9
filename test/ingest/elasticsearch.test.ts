import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { Bulk } from '../../ingest/bulk.ts';
import { Chunk } from '../../ingest/byte-writer.ts';
import type { Log } from '../../ingest/log.ts';
import { parseQuery } from '../../ingest/query/parse.ts';
import { openElasticsearch, type ElasticsearchOptions } from '../../ingest/sinks/elasticsearch.ts';
import type { Outcome, Sink } from '../../ingest/sinks/sink.ts';
import { bulkOf, document, noon } from '../support/documents.ts';
import { quiet } from '../support/log.ts';
import { bulkIds, failure, ScriptedElasticsearch, type Answer } from '../support/scripted-elasticsearch.ts';

const forever = new AbortController().signal;

async function open(
  options: Partial<ElasticsearchOptions> = {},
  prepare: (server: ScriptedElasticsearch) => void = () => undefined,
): Promise<{ server: ScriptedElasticsearch; sink: Sink; deliver: (...ids: string[]) => Promise<Outcome[]> }> {
  const server = await ScriptedElasticsearch.start();
  prepare(server);
  const sink = openElasticsearch({
    nodes: [server.url],
    dataset: 'docker',
    namespace: 'default',
    log: quiet,
    ...options,
  });
  onTestFinished(async () => {
    await sink[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  const deliver = (...ids: string[]): Promise<Outcome[]> =>
    sink.deliver(bulkOf(ids.map((id) => document({ id, time: noon }))), forever);
  return { server, sink, deliver };
}

const html = (status: number): Answer => ({ status, text: '<html><h1>Sorry</h1></html>', type: 'text/html' });

function items(...list: object[]): Answer {
  return { status: 200, json: { errors: true, items: list.map((create) => ({ create })) } };
}

const bad = (status: number, type: string, reason = 'because'): object => ({ status, error: { type, reason } });

test('a bulk creates each document under its id, as it is, in the data stream only', async () => {
  const { server, sink } = await open();
  const documents = ['a', 'b"\n'].map((id) => document({ id, time: noon, message: 'ünï "x"' }));
  expect(await sink.deliver(bulkOf(documents), forever)).toEqual([{ status: 'indexed' }, { status: 'indexed' }]);
  const [bulk] = server.to(/_bulk/);
  expect(bulk?.url).toMatch(/^\/logs-docker-default\/_bulk\?/);
  const query = new URLSearchParams(bulk?.url.split('?')[1]);
  expect(query.get('require_data_stream')).toBe('true');
  expect(query.get('timeout')).toBe('30s');
  expect(query.get('filter_path')).toContain('items.*.failure_store');
  const lines = bulk?.body.split('\n') ?? [];
  expect(lines).toHaveLength(5);
  expect(lines[0]).toBe('{"create":{"_id":"a"}}');
  expect(lines[2]).toBe('{"create":{"_id":"b\\"\\n"}}');
  expect([lines[1], lines[3]]).toEqual(documents.map(({ json }) => json));
});

test('templates are put before the first bulk, and once as long as all goes well', async () => {
  const { server, deliver } = await open({ retention: 36e5 });
  await deliver('a');
  await deliver('b');
  expect(server.seen.map(({ method, url }) => `${method} ${url.split('?')[0]}`)).toEqual([
    'GET /',
    'PUT /_component_template/shiplog%40logs',
    'PUT /_index_template/shiplog-logs-docker-default',
    'PUT /_data_stream/logs-docker-default/_lifecycle',
    'POST /logs-docker-default/_bulk',
    'GET /logs-docker-default/_settings/index.creation_date',
    'POST /logs-docker-default/_bulk',
  ]);
  const index = JSON.parse(server.seen[2]?.body ?? '');
  expect(index.priority).toBeGreaterThan(100);
  expect(index).toMatchObject({
    index_patterns: ['logs-docker-default'],
    data_stream: {},
    composed_of: ['shiplog@logs', 'logs-docker@custom'],
    template: { lifecycle: { enabled: true, data_retention: '1h' } },
  });
  const { mappings } = JSON.parse(server.seen[1]?.body ?? '').template;
  expect(mappings).toMatchObject({
    dynamic: false,
    properties: {
      '@timestamp': { type: 'date' },
      message: { type: 'text', analyzer: 'shiplog_words' },
      host: { properties: { name: { type: 'keyword' } } },
      fields: { type: 'flattened', ignore_above: 8191 },
      source: { properties: { ip: { type: 'ip' }, port: { type: 'integer' } } },
    },
  });
  expect(JSON.stringify(mappings)).not.toMatch(/constant_keyword|match_only_text|wildcard|scaled_float/);
});

test('a server without LogsDB gets templates without it, and the log says which', async () => {
  const said: object[] = [];
  const log: Log = { ...quiet, info: (fields) => said.push(fields) };
  const { server, deliver } = await open({ log }, (server) =>
    server.answer(({ body }) =>
      body.includes('logsdb') ? failure(400, 'illegal_argument_exception', 'no such mode') : undefined,
    ),
  );
  expect(await deliver('a')).toEqual([{ status: 'indexed' }]);
  expect(server.to(/_component_template/).map(({ body }) => JSON.parse(body).template.settings.index)).toEqual([
    expect.objectContaining({ mode: 'logsdb' }),
    undefined,
  ]);
  expect(said).toContainEqual(expect.objectContaining({ version: '9.4.3', mode: 'standard' }));
});

test('templates are put again when it comes back', async () => {
  const { server, deliver } = await open();
  await deliver('a');
  server.answerTo(/_bulk/, html(503));
  await expect(deliver('b')).rejects.toMatchObject({ code: 'unavailable' });
  server.answer(() => undefined);
  await deliver('b');
  expect(server.to(/_index_template/)).toHaveLength(2);
});

test('every kind of item has its outcome, in order', async () => {
  const { server, deliver } = await open();
  server.answerTo(
    /_bulk/,
    items(
      { status: 201 },
      bad(409, 'version_conflict_engine_exception'),
      { status: 201, failure_store: 'used' },
      bad(429, 'es_rejected_execution_exception'),
      bad(503, 'unavailable_shards_exception'),
      bad(403, 'cluster_block_exception', 'index [x] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)]'),
      bad(400, 'document_parsing_exception', 'failed to parse field [source.ip]'),
      bad(400, 'illegal_argument_exception', 'Document contains at least one immense term in field="x"'),
      { status: 201, failure_store: 'not_applicable_or_unknown' },
    ),
  );
  const outcomes = await deliver(...Array.from('abcdefghi'));
  expect(outcomes.map(({ status }) => status)).toEqual([
    'indexed',
    'duplicate',
    'failure_store',
    'retry',
    'retry',
    'retry',
    'rejected',
    'rejected',
    'indexed',
  ]);
  expect(outcomes[6]).toMatchObject({ reason: 'document_parsing_exception: failed to parse field [source.ip]' });
});

const hitsAll: [string, object][] = [
  ['a missing pipeline', bad(400, 'illegal_argument_exception', 'pipeline with id [x] does not exist')],
  ['an unknown 400', bad(400, 'something_new_exception')],
  ['no rights', bad(403, 'security_exception', 'action [indices:data/write/bulk] is unauthorized')],
  ['no credentials', bad(401, 'security_exception')],
  ['no data stream', bad(404, 'index_not_found_exception')],
];

test.each(hitsAll)('%s on an item is refused for all: nothing is rejected', async (_, item) => {
  const { server, deliver } = await open();
  server.answerTo(/_bulk/, items({ status: 201 }, item));
  await expect(deliver('a', 'b')).rejects.toMatchObject({ name: 'SinkError', code: 'refused' });
});

const wholes: [string, Answer, 'unavailable' | 'refused', RegExp][] = [
  [
    '401',
    failure(401, 'security_exception', 'unable to authenticate'),
    'refused',
    /401.*unable to authenticate.*API key/,
  ],
  ['403', failure(403, 'security_exception', 'is unauthorized'), 'refused', /403.*POST \/_security\/api_key/],
  ['404', failure(404, 'index_not_found_exception', 'no such index'), 'refused', /404.*no such index.*index template/],
  ['400', failure(400, 'action_request_validation_exception', 'id is too long'), 'refused', /400.*id is too long/],
  ['429', failure(429, 'circuit_breaking_exception', 'too large'), 'unavailable', /429/],
  ['503', failure(503, 'cluster_block_exception', 'no master'), 'unavailable', /503.*no master/],
  ['HTML with 200', html(200), 'refused', /not Elasticsearch.*proxy/],
  ['HTML with 403', html(403), 'refused', /403.*Sorry/],
  ['HTML with 404', html(404), 'refused', /404.*Sorry/],
  ['HTML with 502', html(502), 'unavailable', /502.*Sorry/],
  ['a cut connection', 'cut', 'unavailable', /away/],
  ['JSON that is torn', { status: 200, text: '{"items":[', type: 'application/json' }, 'refused', /not Elasticsearch/],
  ['too few items', items({ status: 201 }), 'unavailable', /other documents/],
  ['no items', { status: 200, json: {} }, 'unavailable', /other documents/],
];

test.each(wholes)('%s for a bulk judges no document', async (_, answer, code, message) => {
  const { server, deliver } = await open();
  server.answerTo(/_bulk/, answer);
  await expect(deliver('a', 'b')).rejects.toMatchObject({
    name: 'SinkError',
    code,
    message: expect.stringMatching(message),
  });
  expect(server.to(/_bulk/)).toHaveLength(1);
  server.answer(() => undefined);
  expect(await deliver('a', 'b')).toHaveLength(2);
});

test.each(['/', '/_component_template', '/_index_template'])(
  'trouble with %s before the first bulk sends no bulk',
  async (path) => {
    const { server, deliver } = await open({}, (server) =>
      server.answer(({ url }) => (at(url) === path ? html(503) : undefined)),
    );
    const at = (url: string): string => (url.split('?')[0] ?? '').replace(/(?<=.)\/[^/]*$/, '') || '/';
    await expect(deliver('a')).rejects.toMatchObject({ code: 'unavailable' });
    expect(server.to(/_bulk/)).toEqual([]);
  },
);

test('a server of version 8 is refused by name', async () => {
  const { deliver } = await open({}, (server) =>
    server.answerTo(/^\/$/, { status: 200, json: { version: { number: '8.19.2' } } }),
  );
  await expect(deliver('a')).rejects.toMatchObject({ code: 'refused', message: expect.stringContaining('8.19.2') });
});

test('templates that may not be put are refused with what to run, unless ours are there', async () => {
  const forbidden = failure(403, 'security_exception', 'unauthorized');
  let mapping: unknown = {};
  const { server, deliver } = await open({}, (server) =>
    server.answer(({ url }) => {
      if (url.includes('_template/')) return forbidden;
      return url.includes('/_mapping/') ? { status: 200, json: mapping } : undefined;
    }),
  );
  const message = expect.stringMatching(/shiplog-logs-docker-default.*POST \/_security\/api_key/);
  await expect(deliver('a')).rejects.toMatchObject({ code: 'refused', message });
  expect(server.to(/_bulk/)).toEqual([]);
  const message_ = { full_name: 'message', mapping: { message: { type: 'text', analyzer: 'shiplog_words' } } };
  mapping = { '.ds-logs-docker-default-1': { mappings: { message: message_ } } };
  expect(await deliver('a')).toEqual([{ status: 'indexed' }]);
});

test.each([400, 403, 404, 405])('a server that does not take the retention (%i) is lived with', async (status) => {
  const said: string[] = [];
  const log: Log = { ...quiet, warn: (_, message) => said.push(message) };
  const { deliver } = await open({ retention: 1000, log }, (server) =>
    server.answerTo(/_lifecycle/, failure(status, 'x', 'y')),
  );
  expect(await deliver('a')).toEqual([{ status: 'indexed' }]);
  expect(said).toHaveLength(status === 404 ? 0 : 1);
});

test('a bulk that is too large is halved until each document fits or is rejected alone', async () => {
  const { server, deliver } = await open();
  server.answer((request) => {
    if (!request.url.includes('_bulk')) return undefined;
    const ids = bulkIds(request);
    return ids.length > 2 || ids.includes('huge') ? { status: 413, text: '', type: 'text/plain' } : undefined;
  });
  const outcomes = await deliver('a', 'b', 'c', 'huge', 'd', 'e', 'f');
  const expected = ['indexed', 'indexed', 'indexed', 'rejected', 'indexed', 'indexed', 'indexed'];
  expect(outcomes.map(({ status }) => status)).toEqual(expected);
});

test.each([
  ['was too large for', 413, false],
  ['was taken', undefined, true],
])('the memory of a bulk that %s a request can be used again: %s → %s', async (_, status, freed) => {
  const { server, sink } = await open();
  server.answer((request) => {
    if (status === undefined || !request.url.includes('_bulk')) return undefined;
    return bulkIds(request).length > 1 ? { status, text: '', type: 'text/plain' } : undefined;
  });
  const chunk = new Chunk(1000);
  const [...documents] = ['a', 'b'].map((id) => document({ id, time: noon }));
  const [text = Buffer.alloc(0)] = bulkOf(documents).pieces;
  const bulk = new Bulk([chunk.bytes.subarray(0, text.copy(chunk.bytes))], 2, noon * 1000, undefined, [chunk]);
  expect(await sink.deliver(bulk, forever)).toEqual([{ status: 'indexed' }, { status: 'indexed' }]);
  bulk.free();
  expect(chunk.bytes.length === 0).toBe(freed);
});

test('a request that hangs ends with its signal', async () => {
  const { server, sink } = await open();
  await sink.deliver(bulkOf([document({ id: 'a', time: noon })]), forever);
  server.answerTo(/_bulk|_search/, 'hang');
  const abort = new AbortController();
  const delivery = sink.deliver(bulkOf([document({ id: 'b', time: noon })]), abort.signal);
  const search = sink.search({ limit: 1 }, abort.signal);
  await sleep(50);
  abort.abort(new Error('shutting down'));
  await expect(delivery).rejects.toThrow('shutting down');
  await expect(search).rejects.toThrow('shutting down');
});

test('where one node is away, another takes the bulks', async () => {
  const away = await ScriptedElasticsearch.start();
  const url = away.url;
  await away[Symbol.asyncDispose]();
  const other = await ScriptedElasticsearch.start();
  onTestFinished(() => other[Symbol.asyncDispose]());
  const { deliver } = await open({ nodes: [url, other.url] });
  const attempts: string[] = [];
  for (let attempt = 0; attempt < 6; attempt += 1) {
    attempts.push(
      await deliver('a').then(
        () => 'indexed',
        (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : 'thrown'),
      ),
    );
  }
  expect(attempts.slice(2)).toEqual(['indexed', 'indexed', 'indexed', 'indexed']);
});

test('credentials go where they belong, and never into an error or the log', async () => {
  const said: string[] = [];
  const say = (fields: object, message: string): void => void said.push(JSON.stringify(fields) + message);
  const log: Log = { info: say, warn: say, error: say };
  const { server, deliver } = await open({ auth: { apiKey: 'c2VjcmV0' }, log });
  server.answerTo(/_bulk/, failure(401, 'security_exception', 'no'));
  const error: unknown = await deliver('a').catch((error: unknown) => error);
  expect(server.seen[0]?.headers.authorization).toBe('ApiKey c2VjcmV0');
  const told = error instanceof Error ? error.message + String(error.stack) : '';
  expect(told).toContain('401');
  expect(told + said.join('')).not.toContain('c2VjcmV0');
});

test('a search is a tree of filters, by time and sequence, and its answer comes as JSON text', async () => {
  const { server, sink } = await open();
  const hit = { _id: 'a', _source: { message: 'x' }, sort: [noon, 7] };
  server.answerTo(/_search/, { status: 200, json: { hits: { hits: [hit] } } });
  const query = parseQuery('host:web-* NOT "a b" (c* OR fields.x:1)');
  const page = await sink.search({ limit: 5, since: 1, until: 2, ...(query && { query }) }, forever);
  expect(page).toEqual({ records: ['{"message":"x"}'] });
  const body = JSON.parse(server.to(/_search/)[0]?.body ?? '');
  expect(body).toMatchObject({
    query: {
      bool: {
        filter: [
          {
            bool: {
              filter: [
                { prefix: { 'host.name': { value: 'web-' } } },
                { bool: { must_not: [{ match_phrase: { message: { query: 'a b' } } }] } },
                {
                  bool: { should: [{ prefix: { message: { value: 'c' } } }, { term: { 'fields.x': { value: '1' } } }] },
                },
              ],
            },
          },
          { range: { '@timestamp': { gte: 1, lt: 2 } } },
        ],
      },
    },
    sort: [{ '@timestamp': { order: 'desc' } }, { 'event.sequence': { order: 'desc' } }],
  });
  expect(JSON.stringify(body)).not.toContain('query_string');
  // An answer of some shards only would look like all there is.
  expect(server.to(/_search/)[0]?.url).toContain('allow_partial_search_results=false');
});

test('wildcards of Elasticsearch in a value are what they are', async () => {
  const { server, sink } = await open();
  const query = parseQuery('host:*a?b\\\\c\\*d*e');
  await sink.search({ limit: 1, ...(query && { query }) }, forever);
  expect(server.to(/_search/)[0]?.body).toContain(JSON.stringify('*a\\?b\\\\c\\*d*e'));
});

test('pages of a search lose nothing and repeat nothing where time and sequence are equal', async () => {
  const { server, sink } = await open();
  const hits = Array.from({ length: 400 }, (_, index) => {
    const sort: [number, number] = [noon + Math.floor(index / 200), Math.floor(index / 70)];
    return { _id: `id-${(index * 7919) % 400}`, _source: { message: `id-${(index * 7919) % 400}` }, sort };
  });
  const newer = (a: { sort: [number, number] }, b: { sort: [number, number] }): number =>
    b.sort[0] - a.sort[0] || b.sort[1] - a.sort[1];
  server.answer(({ url, body }) => {
    if (!url.includes('_search')) return undefined;
    const { size, search_after: after } = JSON.parse(body);
    // As a server may: equal ones in any order.
    const list = hits.toSorted((a, b) => newer(a, b) || (server.seen.length % 2 === 0 ? 1 : -1));
    const rest = list.filter((hit) => after === undefined || newer({ sort: after }, hit) < 0);
    return { status: 200, json: { hits: { hits: rest.slice(0, size) } } };
  });
  const expected = hits.toSorted((a, b) => newer(a, b) || (a._id < b._id ? 1 : -1)).map(({ _id }) => _id);
  for (const limit of [3, 30, 100, 399, 400, 1000]) {
    const found: string[] = [];
    let before: string | undefined;
    do {
      const page = await sink.search({ limit, ...(before === undefined ? {} : { before }) }, forever);
      found.push(...page.records.map((json) => String(JSON.parse(json).message)));
      before = page.next;
    } while (before !== undefined);
    expect(found, `pages of ${limit}`).toEqual(expected);
  }
});

test('hits that are too large together are asked for fewer at a time', async () => {
  const { server, sink } = await open();
  const long = 'x'.repeat(3 * 1024 * 1024);
  server.answer(({ url, body }) => {
    if (!url.includes('_search')) return undefined;
    const { size, search_after: [after] = [noon + 30] } = JSON.parse(body);
    const left = Math.min(size, Math.max(0, after - noon));
    const hits = Array.from({ length: left }, (_, index) => {
      return { _id: `id-${index}`, _source: { message: long }, sort: [after - 1 - index, 0] };
    });
    return { status: 200, json: { hits: { hits } } };
  });
  const { records, next } = await sink.search({ limit: 100 }, forever);
  expect(records).toHaveLength(10);
  expect(next).toBeDefined();
  expect(server.to(/_search/).map(({ body }) => JSON.parse(body).size)).toEqual([151, 38, 10, 10]);
});

test('a search of a server that is away, or forbids it, says so', async () => {
  const { server, sink } = await open();
  server.answerTo(/_search/, 'cut');
  await expect(sink.search({ limit: 1 }, forever)).rejects.toMatchObject({ name: 'SinkError', code: 'unavailable' });
  server.answerTo(/_search/, { status: 200, json: {} });
  await expect(sink.search({ limit: 1 }, forever)).rejects.toMatchObject({ name: 'SinkError', code: 'unavailable' });
  server.answerTo(/_search/, failure(403, 'security_exception', 'no'));
  await expect(sink.search({ limit: 1 }, forever)).rejects.toMatchObject({ name: 'SinkError', code: 'refused' });
});
