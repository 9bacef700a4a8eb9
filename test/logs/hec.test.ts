import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type Answer,
  type Ask,
  basic,
  type FakePipeline,
  startTestService,
  type TestService,
  userLine,
} from '../support/service.ts';
import { documentsOf, noon } from '../support/rendering.ts';

const path = '/services/collector/event/1.0';
const [id, digest, manifest] = ['ab'.repeat(32), `sha256:${'cd'.repeat(32)}`, `sha256:${'ef'.repeat(32)}`];
const tag = `v1|${id}|web-1|r.corp/team/web:1.4|${digest}|node1|prod`;

let service: TestService;
let pipeline: FakePipeline;
beforeAll(async () => {
  service = await startTestService();
  pipeline = service.pipeline;
});
afterAll(() => service[Symbol.asyncDispose]());
beforeEach(() => {
  pipeline.blocks.length = 0;
  pipeline.failure = undefined;
  pipeline.full = false;
});

const post = (body: string | Uint8Array, headers: Record<string, string> = {}): Ask => ({
  method: 'POST',
  body,
  headers,
});
const said = ({ status, text }: Answer): unknown => {
  const { text: words, code }: { text: string; code: number } = JSON.parse(text);
  return [status, words, code];
};

/** An event as Docker's driver writes it. */
const docker = (line: unknown, more: object = {}): object => ({
  event: { line, source: 'stdout', tag, attrs: { team: 'web' }, ...more },
  time: String(noon / 1e6 + 0.25),
  host: 'docker-host',
});

/** What events become once they were posted. */
async function documents(...events: readonly unknown[]): Promise<Readonly<Record<string, unknown>>[]> {
  const answer = await service.send(path, post(events.map((event) => JSON.stringify(event)).join('')));
  expect(said(answer)).toEqual([200, 'Success', 0]);
  const facts = { manifests: [manifest], labels: { 'org.opencontainers.image.revision': '4f2a' } };
  return documentsOf(
    pipeline.blocks.splice(0).map((block) => ({ ...block, arrivedAt: noon })),
    facts,
  );
}

describe('what the collector takes', () => {
  test("a line of Docker's splunk driver is the document that its syslog driver's is, with the labels that it sends", async () => {
    const [document] = await documents(docker('hello'));
    expect(document).toMatchObject({
      '@timestamp': '2026-11-24T12:00:00.250Z',
      message: 'hello',
      host: { name: 'node1' },
      orchestrator: { cluster: { name: 'prod' } },
      container: {
        id,
        name: 'web-1',
        runtime: 'docker',
        image: { name: 'r.corp/team/web', tag: ['1.4'], hash: { all: [manifest] } },
        labels: { 'org.opencontainers.image.revision': '4f2a', team: 'web' },
      },
      source: { ip: '127.0.0.1' },
      shiplog: { stream: 'stdout', image: { repository: 'team/web', revision: '4f2a' } },
    });
    expect(document).not.toHaveProperty('fields');
  });

  test.each<[string, unknown, object]>([
    [
      "Docker's default tag",
      docker('x', { tag: id.slice(0, 12) }),
      { host: { name: 'docker-host' }, container: { id: id.slice(0, 12) } },
    ],
    ['stderr', docker('x', { source: 'stderr' }), { shiplog: { stream: 'stderr' } }],
    ['an empty line', docker(''), { message: '' }],
    [
      'a line that is JSON (splunk-format=json)',
      docker({ level: 'warn', n: 1 }),
      { message: '{"level":"warn","n":1}' },
    ],
    [
      'a line with its tag before it (splunk-format=raw)',
      { ...docker(''), event: `${tag} hello raw` },
      { message: 'hello raw', container: { id, name: 'web-1' }, host: { name: 'node1' } },
    ],
    [
      "anyone's text",
      { event: 'plain text', host: 'h', index: 'main', sourcetype: 's', fields: { a: 'b' } },
      { message: 'plain text', host: { name: 'h' }, fields: { index: 'main', sourcetype: 's', fields: { a: 'b' } } },
    ],
    [
      "anyone's object",
      { event: { message: 'm', level: 'WARN', k: 1 }, source: 'app', time: noon / 1e6 - 60 },
      {
        '@timestamp': '2026-11-24T11:59:00.000Z',
        message: 'm',
        log: { level: 'warn' },
        fields: { source: 'app', k: 1 },
      },
    ],
    ['an object without a message', { event: { a: 1 } }, { message: '{"a":1}', fields: { a: 1 } }],
    ['a number', { event: 5 }, { message: '5' }],
    ['a time that is none', { event: 'x', time: 'soon' }, { '@timestamp': '2026-11-24T12:00:00.000Z' }],
    ['__proto__', JSON.parse('{"event":{"message":"m","__proto__":"p"},"__proto__":"q"}'), { message: 'm' }],
  ])('%s', async (_, event, expected) => {
    const [document] = await documents(event);
    expect(document).toMatchObject(expected);
  });

  test.each([16, 80])('the parts of %i KiB of a long line are one record; other lines are not in it', async (size) => {
    const [part, rest] = ['a'.repeat(size * 1024), 'b'];
    const other = docker('other', { tag: tag.replaceAll('ab', '12') });
    const found = await documents(
      docker(part),
      other,
      docker('err', { source: 'stderr' }),
      docker(rest),
      docker('next'),
    );
    expect(found.map(({ message }) => message)).toEqual(['other', 'err', part + rest, 'next']);
  });

  test.each<[string, Ask]>([
    ['with nothing between them', post('{"event":"a"}{"event":"b"}')],
    ['with white space between them', post('\n{"event":"a"} \n\t{"event": "b"}\n')],
    ['compressed', post(gzipSync('{"event":"a"}{"event":"b"}'), { 'content-encoding': 'gzip' })],
    ['as many as the shortest can be', post(`{"event":0}`.repeat(1000))],
  ])('objects come one behind the other, %s', async (_, ask) => {
    expect(said(await service.send(path, ask))).toEqual([200, 'Success', 0]);
    expect(pipeline.blocks[0]).toMatchObject({ kind: 'json-records', source: { listener: 'hec' } });
    expect(pipeline.lines.map((line): unknown => JSON.parse(line))).toHaveLength(pipeline.lines.length);
    expect(pipeline.lines.length).toBeGreaterThan(1);
  });

  test.each(['/services/collector', '/services/collector/event'])('%s takes them too', async (other) => {
    expect(said(await service.send(other, post('{"event":"a"}')))).toEqual([200, 'Success', 0]);
  });
});

describe('what the collector says', () => {
  test.each<[string, Ask, [number, string, number]]>([
    ['nothing', post(''), [400, 'No data', 5]],
    ['no JSON', post('{"event":'), [400, 'Invalid data format', 6]],
    ['an array', post('[{"event":"a"}]'), [400, 'Invalid data format', 6]],
    ['no event', post('{"event":"a"}{"host":"h"}'), [400, 'Event field is required', 12]],
    ['a blank event', post('{"event":""}'), [400, 'Event field cannot be blank', 13]],
    ['no gzip', post('{}', { 'content-encoding': 'gzip' }), [400, 'Invalid data format', 6]],
    ['too much', post(Buffer.alloc(33 * 1024 * 1024, ' ')), [413, 'Request entity too large', 27]],
    [
      'what swells',
      post(gzipSync(Buffer.alloc(30 * 1024 * 1024, ' ')), { 'content-encoding': 'gzip' }),
      [413, 'Request entity too large', 27],
    ],
  ])('of %s, and keeps nothing', async (_, ask, expected) => {
    const answer = await service.send(path, ask);
    expect(said(answer)).toEqual(expected);
    expect(pipeline.blocks).toEqual([]);
  });

  test.each(['full', 'io', 'closed'])('while the spool is %s: come again', async (code) => {
    pipeline.failure = Object.assign(new Error('spool'), { code });
    const answer = await service.send(path, post('{"event":"a"}'));
    expect(said(answer)).toEqual([503, 'Server is busy', 9]);
    expect(answer.headers['retry-after']).toBe('5');
  });

  test('of its health, and to the question that Docker asks first, without a token', async () => {
    await using guarded = await startTestService({ users: userLine('ann', 'pw') });
    expect((await guarded.send(path, { method: 'OPTIONS' })).status).toBe(200);
    for (const health of ['/services/collector/health', '/services/collector/health/1.0']) {
      expect(said(await guarded.send(health))).toEqual([200, 'HEC is healthy', 17]);
    }
    guarded.pipeline.full = true;
    expect(said(await guarded.send('/services/collector/health'))).toEqual([
      503,
      'HEC is unhealthy, queues are full',
      18,
    ]);
  });

  test('to users and to others, where there are no tokens', async () => {
    await using guarded = await startTestService({ users: userLine('ann', 'pw') });
    const ask = (headers: Record<string, string>): Promise<Answer> =>
      guarded.send(path, post('{"event":"a"}', headers));
    expect(said(await ask(basic('ann', 'pw')))).toEqual([200, 'Success', 0]);
    const without = await ask({});
    expect(said(without)).toEqual([401, 'Token is required', 2]);
    expect(without.headers['www-authenticate']).toContain('Basic');
    expect(said(await ask({ authorization: 'Splunk 0123456789abcdef' }))).toEqual([403, 'Invalid token', 4]);
    expect(said(await ask(basic('ann', 'wrong')))).toEqual([401, 'Invalid authorization', 3]);
    expect(guarded.pipeline.blocks).toHaveLength(1);
    expect(guarded.pipeline.blocks[0]?.source).not.toHaveProperty('token');
  });
});
