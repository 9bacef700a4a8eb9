import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { readApplication } from '../../ingest/parse/app-json.ts';
import { flattenable } from '../../ingest/parse/flattened.ts';
import { documentsOf, messages, noon, type Document } from '../support/rendering.ts';

const tag = `v1|${'ab'.repeat(32)}|web-1|registry.corp/team/web:1.4||node1|prod`;

/** What a line of a container's becomes, which Docker's syslog driver sends. */
async function lineOf(text: string, priority = 30): Promise<Document> {
  const payload = Buffer.from(`<${priority}>1 2026-11-24T12:00:00.5Z node1 ${tag} 9 ${tag} - ${text}\n`);
  const source = { listener: 'syslog-tcp', connection: '1'.repeat(32) };
  const [document, ...more] = await documentsOf([{ kind: 'lf-stream', source, arrivedAt: noon, flags: {}, payload }]);
  expect(more).toEqual([]);
  // The moment of rendering.
  const { event: _, ...rest } = document ?? {};
  return rest;
}

const error = { type: 'TypeError', message: 'x is not a function', stack_trace: 'TypeError: x\n    at f (a.js:1:1)' };
const at = '2026-11-24T11:59:58.123Z';
const syslog = expect.anything();

test.each<[logger: string, line: string, is: Readonly<Record<string, unknown>>]>([
  [
    'pino',
    `{"level":50,"time":${noon / 1000 - 1877},"pid":7,"hostname":"pod","name":"api","reqId":"r1","err":{"type":"TypeError","message":"x is not a function","stack":"TypeError: x\\n    at f (a.js:1:1)","code":"E1"},"msg":"failed"}`,
    {
      message: 'failed',
      log: { level: 'error', logger: 'api', syslog },
      error,
      fields: { pid: 7, hostname: 'pod', reqId: 'r1', err: { code: 'E1' } },
    },
  ],
  [
    'bunyan',
    `{"name":"app","hostname":"pod","pid":7,"level":40,"msg":"slow","time":"${at}","v":0,"err":{"name":"TypeError","message":"x is not a function","stack":"TypeError: x\\n    at f (a.js:1:1)"}}`,
    {
      message: 'slow',
      log: { level: 'warning', logger: 'app', syslog },
      error,
      fields: { hostname: 'pod', pid: 7, v: 0 },
    },
  ],
  [
    'an ECS logger, dotted',
    `{"@timestamp":"${at}","log.level":"ERROR","message":"failed","log.logger":"com.corp.Web","service.name":"web","trace.id":"t1","span.id":"s1","error.type":"TypeError","error.message":"x is not a function","error.stack_trace":"TypeError: x\\n    at f (a.js:1:1)","process.thread.name":"main"}`,
    {
      message: 'failed',
      log: { level: 'error', logger: 'com.corp.Web', syslog },
      service: { name: 'web' },
      trace: { id: 't1' },
      span: { id: 's1' },
      error,
      fields: { 'process.thread.name': 'main' },
    },
  ],
  [
    'an ECS logger, nested',
    `{"@timestamp":"${at}","log":{"level":"WARN","logger":"com.corp.Web","origin":{"file":{"line":1}}},"message":"slow","service":{"name":"web"},"trace":{"id":"t1"}}`,
    {
      message: 'slow',
      log: { level: 'warning', logger: 'com.corp.Web', syslog },
      service: { name: 'web' },
      trace: { id: 't1' },
      fields: { log: { origin: { file: { line: 1 } } } },
    },
  ],
  [
    "logback's encoder",
    `{"@timestamp":"${at}","@version":"1","message":"slow","logger_name":"com.corp.Web","thread_name":"main","level":"WARN","level_value":30000,"stack_trace":"TypeError: x"}`,
    {
      message: 'slow',
      log: { level: 'warning', logger: 'com.corp.Web', syslog },
      error: { stack_trace: 'TypeError: x' },
      fields: { '@version': '1', thread_name: 'main', level_value: 30000 },
    },
  ],
  [
    "Python's json logger",
    '{"asctime":"2026-11-24 13:59:58,123","levelname":"CRITICAL","name":"app.db","message":"gone","exc_info":"Traceback"}',
    {
      message: 'gone',
      log: { level: 'critical', logger: 'app.db', syslog },
      error: { stack_trace: 'Traceback' },
      shiplog: expect.objectContaining({ time_original: '2026-11-24 13:59:58,123' }),
    },
  ],
  [
    'zap',
    `{"level":"info","ts":${noon / 1e6 - 1.877},"logger":"db","caller":"db/open.go:12","msg":"opened","error":"x is not a function"}`,
    {
      message: 'opened',
      log: { level: 'info', logger: 'db', syslog },
      error: { message: 'x is not a function' },
      fields: { caller: 'db/open.go:12' },
    },
  ],
  [
    'winston',
    `{"level":"verbose","message":"hello","timestamp":"${at}","label":"x"}`,
    { message: 'hello', log: { level: 'trace', syslog }, fields: { label: 'x' } },
  ],
  [
    'Serilog',
    `{"@t":"${at}","@m":"took 5 ms","@l":"Warning","@x":"TypeError: x","SourceContext":"Web","@tr":"t1","@sp":"s1","Ms":5}`,
    {
      message: 'took 5 ms',
      log: { level: 'warning', logger: 'Web', syslog },
      error: { stack_trace: 'TypeError: x' },
      trace: { id: 't1' },
      span: { id: 's1' },
      fields: { Ms: 5 },
    },
  ],
  [
    'Serilog, of the level that it leaves out',
    `{"@t":"${at}","@mt":"took {Ms} ms","Ms":5}`,
    { message: 'took {Ms} ms', log: { level: 'info', syslog }, fields: { Ms: 5 } },
  ],
])('a line of %s has its parts in their places', async (_logger, line, is) => {
  expect(await lineOf(line, 27)).toEqual({
    ...(await lineOf('x', 27)),
    ...is,
    '@timestamp': at,
  });
});

test.each<[line: string, level: string]>([
  ['level=warn msg="slow"', 'warning'],
  ['time="2026-11-24T12:00:00Z" level=debug msg="started"', 'debug'],
  ['ts=2026-11-24T12:00:00Z caller=main.go:1 level="error" msg=x', 'error'],
  ['W1124 12:00:00.000000       1 web.go:10] slow', 'warning'],
  ['E1124 12:00:00.000000   12345 web.go:10] failed', 'error'],
  ['ERROR: failed', 'error'],
  ['[warn] slow', 'warning'],
  ['2026/11/24 12:00:00 [crit] 12#12: no space', 'critical'],
  ['2026-11-24 12:00:00.123  WARN 1 --- [main] c.c.Web : slow', 'warning'],
  // These say none.
  ['a line with level=warn in it', 'info'],
  ['Warn your friends', 'info'],
  ['WARNINGS are shown', 'info'],
  ['msg="level=warn is text"', 'info'],
  ['GET /error 200', 'info'],
  ['[main] started', 'info'],
  ['I am', 'info'],
])('the text %j says the level %s', async (line, level) => {
  expect(await lineOf(line)).toMatchObject({ message: line, log: { level } });
});

test('who an application says that it is changes neither host nor container nor cluster', async () => {
  const { host, orchestrator, container } = await lineOf('x');
  const claim = {
    host: 'other',
    'host.name': 'other',
    cluster: 'other',
    orchestrator: { cluster: { name: 'other' } },
    container: { id: 'other' },
    data_stream: { dataset: 'other' },
    event: { sequence: 1 },
    msg: 'x',
  };
  const { msg: _, ...fields } = claim;
  expect(await lineOf(JSON.stringify(claim))).toMatchObject({ message: 'x', host, orchestrator, container, fields });
});

test('a time more than a day away, or no better than the arrival, stays a field', async () => {
  const { '@timestamp': time } = await lineOf('x');
  for (const said of ['2020-01-01T00:00:00Z', 'yesterday', noon / 1e6, 0.25]) {
    expect(await lineOf(JSON.stringify({ msg: 'x', time: said }))).toMatchObject({
      '@timestamp': time,
      fields: { time: said },
    });
  }
});

test('a message that is no text, or absent, leaves the text of the line', async () => {
  for (const line of ['{"level":"warn","msg":{"a":1}}', '{"level":"warn"}', '{"level":"warn","message":""}']) {
    expect(await lineOf(line)).toMatchObject({ message: line, log: { level: 'warning' } });
  }
});

test('what is no object, or more than anyone logs, is a text', async () => {
  const wide = JSON.stringify(Object.fromEntries(Array.from({ length: 1001 }, (_, key) => [`k${key}`, 1])));
  for (const line of ['{not json', '{"a":1', '{', `{"a":${'['.repeat(40)}${']'.repeat(40)}}`, wide]) {
    expect(await lineOf(line)).toEqual({ ...(await lineOf('x')), message: line });
  }
});

test('a JSON line without a header keeps its note, and its own error', async () => {
  const source = { listener: 'syslog-udp', connection: '1'.repeat(32) };
  const payload = Buffer.from('{"level":"error","msg":"failed","error":"no space"}\n');
  const block = { kind: 'lf-stream', source, arrivedAt: noon, flags: {}, payload } as const;
  expect(await documentsOf([block])).toMatchObject([
    { message: 'failed', tags: ['parse_failure'], error: { message: 'no space' } },
  ]);
});

test('a line that came in pieces is read when it is whole', async () => {
  const line = JSON.stringify({ level: 'warn', msg: 'y'.repeat(20_000) });
  const header = `<30>1 2026-11-24T12:00:00.5Z node1 ${tag} 9 ${tag} - `;
  const payload = Buffer.from(`${header}${line.slice(0, 16_384)}\n${header}${line.slice(16_384)}\n`);
  const source = { listener: 'syslog-tcp', connection: '1'.repeat(32) };
  expect(await documentsOf([{ kind: 'lf-stream', source, arrivedAt: noon, flags: {}, payload }])).toMatchObject([
    { message: 'y'.repeat(20_000), log: { level: 'warning' } },
  ]);
});

test("the lines of Docker's gelf driver are read too, and the records of others are not", async () => {
  const line = '{"level":"warn","msg":"slow","ms":5}';
  const own = { version: '1.1', host: 'node1', level: 6 };
  const docker = { ...own, short_message: line, _container_id: 'ab'.repeat(32), _created: 'then' };
  const other = { ...own, short_message: line };
  expect(await documentsOf([messages('gelf', [JSON.stringify(docker), JSON.stringify(other)])])).toMatchObject([
    { message: 'slow', log: { level: 'warning' }, fields: { ms: 5, created: 'then' } },
    { message: line, log: { level: 'info' } },
  ]);
});

test('whatever object is logged, the document is JSON that has what was read of it', async () => {
  const key = fc.oneof(
    fc.constantFrom('__proto__', 'constructor', 'msg', 'level', 'time', 'error', 'log', '@t', 'trace.id'),
    fc.string({ unit: 'binary', maxLength: 10 }),
  );
  const objects = fc.object({ key, maxDepth: 3, maxKeys: 10 });
  await fc.assert(
    fc.asyncProperty(objects, async (object) => {
      const line = JSON.stringify(object).toWellFormed();
      const { message, fields, ecs } = readApplication({ message: line, timestamp: noon }, noon);
      const document = await lineOf(line);
      expect(document).toMatchObject({ message, ...ecs });
      expect(document['fields']).toEqual(fields && JSON.parse(JSON.stringify(flattenable(fields))));
    }),
    { numRuns: 200 },
  );
});
