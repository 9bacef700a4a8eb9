import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { SinkError } from '../../ingest/sinks/sink.ts';
import { basic, codeOf, startTestService, type TestService, userLine } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service[Symbol.asyncDispose]());
beforeEach(() => {
  service.pipeline.counts.length = 0;
  service.pipeline.failure = undefined;
  service.pipeline.counted = { counts: [], values: [] };
});

const hour = 3_600_000;

test.each<[string, object]>([
  ['since=1700000000000&until=1700000060000', { since: 1_700_000_000_000, until: 1_700_000_060_000, interval: 1000 }],
  [
    'since=1700000000000&until=1700000001000&buckets=3',
    { since: 1_700_000_000_000, until: 1_700_000_001_000, interval: 334 },
  ],
  ['since=1700000000000&until=1700000000001&buckets=1000', { interval: 1 }],
  ['until=1700000000000', { since: 1_700_000_000_000 - hour, until: 1_700_000_000_000, interval: 60_000 }],
  ['since=1000000d&until=1700000000000', { since: 0 }],
  ['by=level', { field: 'log.level' }],
  ['by=image', { field: 'container.image.name' }],
  ['q=host:web&by=', { query: { kind: 'field', fields: ['host.name'], pattern: ['web'] } }],
])('%s is what the sink is asked', async (query, expected) => {
  expect((await service.send(`/api/logs/histogram?${query}`)).status).toBe(200);
  expect(service.pipeline.counts).toMatchObject([expected]);
});

test('without bounds it is the last hour', async () => {
  const before = Date.now();
  await service.send('/api/logs/histogram');
  const [request = { since: 0, until: 0 }] = service.pipeline.counts;
  expect(request.until - request.since).toBe(hour);
  expect(request.until).toBeGreaterThanOrEqual(before);
  expect(request.until).toBeLessThanOrEqual(Date.now());
});

test('counts are answered by bucket, with the values that occur in it', async () => {
  service.pipeline.counted = {
    counts: [3, 0],
    values: [
      { value: '__proto__', counts: [2, 0] },
      { value: 'b', counts: [0, 0] },
    ],
  };
  const bounds = 'since=2026-11-24T12:00:00Z&until=2026-11-24T12:00:03Z&buckets=2';
  const plain = await service.send(`/api/logs/histogram?${bounds}`);
  expect(plain.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(JSON.parse(plain.text)).toEqual({
    since: '2026-11-24T12:00:00.000Z',
    until: '2026-11-24T12:00:03.000Z',
    interval: 1500,
    buckets: [
      { time: '2026-11-24T12:00:00.000Z', count: 3 },
      { time: '2026-11-24T12:00:01.500Z', count: 0 },
    ],
  });
  const { text } = await service.send(`/api/logs/histogram?${bounds}&by=host`);
  expect(text).toContain('"count":3,"by":{"__proto__":2}}');
  expect(text).toContain('"count":0,"by":{}}');
});

test.each<[string, RegExp]>([
  ['buckets=0', /buckets: expected a number from 1 to 1000/],
  ['buckets=1001', /buckets/],
  ['by=message', /by: expected one of host, cluster, image/],
  ['by=__proto__', /by/],
  ['since=2026-11-24&until=2026-11-24', /since: expected a time before until/],
  ['limit=1', /limit: there is no such parameter; there are q, since, until, buckets, by/],
  ['q=(', /q, at character/],
])('%s is 400', async (query, message) => {
  const answer = await service.send(`/api/logs/histogram?${query}`);
  expect([answer.status, service.pipeline.counts]).toEqual([400, []]);
  expect(answer.text).toMatch(message);
});

test('a sink that is away, or takes too long, is 503', async () => {
  service.pipeline.failure = new SinkError('unavailable', 'it takes too long');
  const answer = await service.send('/api/logs/histogram');
  expect([answer.status, codeOf(answer)]).toEqual([503, 'UNAVAILABLE']);
  expect(answer.text).toContain('it takes too long');
});

test.each(['/api/logs/histogram', '/api/logs/tail'])('%s is for those who may read logs', async (path) => {
  await using closed = await startTestService({
    users: userLine('ann', 'pw') + userLine('bob', 'pw'),
    env: { SHIPLOG_AUTH_LOG_READERS: 'ann' },
  });
  expect((await closed.send(path)).status).toBe(401);
  expect((await closed.send(path, { headers: basic('bob', 'pw') })).status).toBe(403);
  expect(closed.pipeline.counts.length + closed.pipeline.asked.length).toBe(0);
});
