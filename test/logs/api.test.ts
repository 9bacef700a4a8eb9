import { Agent, request } from 'node:http';
import { once } from 'node:events';
import { constants, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SinkError } from '../../ingest/sinks/sink.ts';
import { CursorError } from '../../ingest/query/cursor.ts';
import {
  type Ask,
  basic,
  codeOf,
  type FakePipeline,
  startTestService,
  type TestService,
  userLine,
} from '../support/service.ts';

let service: TestService;
let pipeline: FakePipeline;
beforeAll(async () => {
  service = await startTestService({ env: { SHIPLOG_INGEST_TAGS_SOURCES: '10.0.0.0/8=far,127.0.0.0/8=near' } });
  pipeline = service.pipeline;
});
afterAll(() => service[Symbol.asyncDispose]());
beforeEach(() => {
  pipeline.blocks.length = 0;
  pipeline.searches.length = 0;
  pipeline.failure = undefined;
  pipeline.page = { records: [] };
});

function post(body: string | Uint8Array, type = 'application/json', headers: Record<string, string> = {}): Ask {
  return { method: 'POST', body, headers: { ...(type === '' ? {} : { 'content-type': type }), ...headers } };
}

const gzip = { 'content-encoding': 'gzip' };
const large = gzipSync(Buffer.alloc(17 * 1024 * 1024, ' '), { strategy: constants.Z_HUFFMAN_ONLY });
const bomb = gzipSync('{}\n'.repeat(1024 * 1024));

describe('POST /logs', () => {
  test.each<[what: string, ask: Ask, lines: string[]]>([
    ['an object', post('{"message":"a"}'), ['{"message":"a"}']],
    ['an array', post('[{"message":"a"},{"message":"b"}]'), ['{"message":"a"}', '{"message":"b"}']],
    ['an empty array', post('[]'), []],
    ['NDJSON', post('{"m":1}\n{"m":2}\n', 'application/x-ndjson'), ['{"m":1}', '{"m":2}']],
    ['NDJSON by its other names', post('{"m":1}', 'application/jsonl'), ['{"m":1}']],
    ['a charset', post('{"m":"ü"}', 'Application/JSON; Charset="UTF-8"'), ['{"m":"ü"}']],
    ['gzip', post(gzipSync('{"m":1}'), 'application/json', gzip), ['{"m":1}']],
    [
      'the largest that is allowed',
      post(`{"m":"${'x'.repeat(16 * 1024 * 1024 - 8)}"}`),
      [`{"m":"${'x'.repeat(16 * 1024 * 1024 - 8)}"}`],
    ],
  ])('%s is accepted, a record a line', async (_what, ask, lines) => {
    const answer = await service.send('/logs', ask);
    expect([answer.status, answer.text]).toEqual([200, `{"accepted":${lines.length}}`]);
    expect(pipeline.lines.join('\n') === lines.join('\n')).toBe(true);
    expect(pipeline.blocks.length).toBe(lines.length === 0 ? 0 : 1);
  });

  test.each<[what: string, ask: Ask, status: number, code: string, message: RegExp]>([
    ['no type', post('{}', ''), 415, 'TYPE_UNSUPPORTED', /Content-Type: application\/json/],
    ["curl's own type", post('{}', 'application/x-www-form-urlencoded'), 415, 'TYPE_UNSUPPORTED', /./],
    ['another charset', post('{}', 'application/json; charset=latin1'), 415, 'TYPE_UNSUPPORTED', /UTF-8/],
    ['a type that is a property of objects', post('{}', 'constructor'), 415, 'TYPE_UNSUPPORTED', /./],
    [
      'another encoding',
      post('{}', 'application/json', { 'content-encoding': 'br' }),
      415,
      'ENCODING_UNSUPPORTED',
      /gzip/,
    ],
    ['an encoding that is not true', post('{}', 'application/json', gzip), 400, 'ENCODING_INVALID', /gzip/],
    [
      'gzip that is torn',
      post(gzipSync('{}').subarray(0, 15), 'application/json', gzip),
      400,
      'ENCODING_INVALID',
      /gzip/,
    ],
    ['too large, with its length', post('x'.repeat(16 * 1024 * 1024 + 1)), 413, 'TOO_LARGE', /16777216/],
    [
      'too large, chunked',
      post('x'.repeat(16 * 1024 * 1024 + 1), 'application/json', { 'transfer-encoding': 'chunked' }),
      413,
      'TOO_LARGE',
      /./,
    ],
    ['too large when inflated', post(large, 'application/json', gzip), 413, 'TOO_LARGE', /inflated/],
    ['made to swell', post(bomb, 'application/x-ndjson', gzip), 413, 'TOO_LARGE', /250 times/],
    ['one bad line of three', post('{"m":1}\n{"m":\n{"m":3}', 'application/x-ndjson'), 400, 'RECORD_INVALID', /line 2/],
    ['one bad record of three', post('[{},{},3]'), 400, 'RECORD_INVALID', /record 2/],
    ['nothing', post(''), 400, 'RECORD_INVALID', /./],
  ])('%s is refused, and nothing of it kept', async (_what, ask, status, code, message) => {
    const answer = await service.send('/logs', ask);
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
    expect(answer.text).toMatch(message);
    expect(pipeline.blocks).toEqual([]);
  });

  test.each([
    ['full', 503],
    ['io', 503],
    ['closed', 503],
    ['other', 500],
  ])('a spool that fails with %s is %i', async (code, status) => {
    pipeline.failure = Object.assign(new Error('spool'), { code });
    const answer = await service.send('/logs', post('{}'));
    expect(answer.status).toBe(status);
    expect(answer.headers['retry-after']).toBe(status === 503 ? '5' : undefined);
  });

  test('a block says who sent it: a connection has one id, another one another', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const send = async (): Promise<void> => {
      const outgoing = request({ port: service.port, path: '/logs', agent, ...post('{}') }).end('{}');
      const [answer] = await once(outgoing, 'response');
      answer.resume();
      await once(answer, 'end');
    };
    await send();
    await send();
    agent.destroy();
    await service.send('/logs', post('{}'));
    const [one, two, three] = pipeline.blocks.map(({ source }) => source);
    expect(one?.connection).toMatch(/^[\da-f]{32}$/);
    expect(two).toEqual(one);
    expect(three?.connection).not.toBe(one?.connection);
    expect(one).toMatchObject({ listener: 'http', cluster: 'near', peer: { address: '127.0.0.1' } });
    expect(pipeline.blocks[0]).toMatchObject({ kind: 'json-records', flags: {} });
    expect(Math.abs((pipeline.blocks[0]?.arrivedAt ?? 0) / 1000 - Date.now())).toBeLessThan(60_000);
  });

  test('what a trusted proxy passes on is told apart by who sent it', async () => {
    // With users, for without them a proxy is refused.
    await using behind = await startTestService({
      users: userLine('ann', 'pw'),
      env: {
        SHIPLOG_HTTP_TRUSTED_PROXIES: '127.0.0.1',
        SHIPLOG_INGEST_TAGS_SOURCES: '10.0.0.0/8=far,127.0.0.0/8=near',
      },
    });
    await behind.send(
      '/logs',
      post('{}', 'application/json', { ...basic('ann', 'pw'), 'x-forwarded-for': '10.1.1.1' }),
    );
    expect(behind.pipeline.blocks[0]?.source).toMatchObject({ cluster: 'far', peer: { address: '10.1.1.1', port: 0 } });
  });
});

describe('GET /api/logs', () => {
  test.each<[string, object]>([
    ['', { limit: 100 }],
    ['limit=50000', { limit: 50_000 }],
    ['q=&since=&before=', { limit: 100 }],
    [
      'since=1700000000000&until=2026-08-03T10:00:00%2B02:00',
      { limit: 100, since: 1_700_000_000_000, until: 1_785_744_000_000 },
    ],
    ['until=2026-08-03', { limit: 100, until: 1_785_715_200_000 }],
    ['until=2026-08-03T10:00', { limit: 100, until: 1_785_751_200_000 }],
    ['before=abc', { limit: 100, before: 'abc' }],
    ['q=host:web', { limit: 100, query: { kind: 'field', fields: ['host.name'], pattern: ['web'] } }],
  ])('%s', async (query, expected) => {
    expect((await service.send(`/api/logs?${query}`)).status).toBe(200);
    expect(pipeline.searches).toEqual([expected]);
  });

  test('a while ago is counted from now', async () => {
    const before = Date.now();
    await service.send('/api/logs?since=5m');
    const since = (pipeline.searches[0]?.since ?? 0) + 300_000;
    expect(since).toBeGreaterThanOrEqual(before);
    expect(since).toBeLessThanOrEqual(Date.now());
  });

  test.each<[string, RegExp]>([
    ['limit=0', /limit: expected a number from 1 to 50000/],
    ['limit=50001', /limit/],
    ['limit=1e3', /limit/],
    ['limit=-1', /limit/],
    ['since=yesterday', /since: expected a time such as/],
    ['until=2026-13-01', /until/],
    ['sort=asc', /sort: there is no such parameter; there are q, since/],
    ['__proto__=1', /there is no such parameter/],
    ['limit=1&limit=2', /limit: give it once/],
  ])('%s is 400', async (query, message) => {
    const answer = await service.send(`/api/logs?${query}`);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'PARAMETER_INVALID']);
    expect(answer.text).toMatch(message);
    expect(pipeline.searches).toEqual([]);
  });

  test('a query that cannot be read is 400, with the place', async () => {
    const answer = await service.send(`/api/logs?q=${encodeURIComponent('a ("b')}`);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({
      errors: [{ code: 'QUERY_INVALID', message: /^q, at character 4: /, detail: { position: 3, code: 'QUOTE_OPEN' } }],
    });
  });

  test('records are answered as the sink has them, with the cursor', async () => {
    pipeline.page = { records: ['{"a":1}', '{"n":1.10}'], next: 'c"1' };
    const answer = await service.send('/api/logs');
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(answer.text).toBe('{"records":[{"a":1},{"n":1.10}],"next":"c\\"1"}');
    pipeline.page = { records: [] };
    expect((await service.send('/api/logs')).text).toBe('{"records":[]}');
  });

  test.each<[Error, number]>([
    [new SinkError('unavailable', 'away'), 503],
    [new SinkError('refused', 'no rights'), 503],
    [new CursorError(), 400],
    [new Error('x'), 500],
  ])('a sink that fails with %o is %i', async (error, status) => {
    pipeline.failure = error;
    expect((await service.send('/api/logs')).status).toBe(status);
  });
});
