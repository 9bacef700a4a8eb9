import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { documentsOf, messages, noon } from '../support/rendering.ts';

const [id, digest, manifest] = ['ab'.repeat(32), `sha256:${'cd'.repeat(32)}`, `sha256:${'ef'.repeat(32)}`];

/** A message as Docker's driver writes it. */
const docker = (line: string, more: object = {}): string =>
  JSON.stringify({
    version: '1.1',
    host: 'node1',
    short_message: line,
    timestamp: noon / 1e6 + 0.25,
    level: 6,
    _command: '/bin/web -v',
    _container_id: id,
    _container_name: 'web-1',
    _created: '2026-11-24T11:00:00Z',
    _image_id: digest,
    _image_name: 'r.corp/team/web:1.4',
    _tag: `v1|${id}|web-1|r.corp/team/web:1.4|${digest}|node1|prod`,
    ...more,
  });

test("a line of Docker's gelf driver is the document that its syslog driver's is, with the labels that it sends", async () => {
  const facts = { manifests: [manifest], labels: { 'org.opencontainers.image.revision': '4f2a' } };
  const [document] = await documentsOf([messages('gelf', [docker('hello', { _team: 'web' })])], facts);
  expect(document).toEqual({
    '@timestamp': '2026-11-24T12:00:00.250Z',
    message: 'hello',
    event: {
      created: '2026-11-24T12:00:00.000Z',
      ingested: expect.any(String),
      sequence: noon + 164,
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
      labels: { 'org.opencontainers.image.revision': '4f2a', team: 'web' },
    },
    log: { level: 'info' },
    source: { ip: '10.0.0.9', port: 4711 },
    shiplog: { stream: 'stdout', image: { repository: 'team/web', revision: '4f2a' } },
    fields: { command: '/bin/web -v', created: '2026-11-24T11:00:00Z' },
  });
});

test('stderr is an error, and a tag of nothing but the short id says nothing more', async () => {
  const [document] = await documentsOf([messages('gelf', [docker('x', { level: 3, _tag: id.slice(0, 12) })])]);
  expect(document).toMatchObject({
    log: { level: 'error' },
    container: { id },
    orchestrator: { cluster: { name: 'default' } },
    shiplog: { stream: 'stderr' },
  });
});

test.each([
  [
    'a program',
    { host: 'app-1', short_message: 'short', level: 4, _user: 'ann', facility: 'x' },
    { message: 'short', host: { name: 'app-1' }, log: { level: 'warning' }, fields: { user: 'ann', facility: 'x' } },
  ],
  [
    'one that says more',
    { host: 'a', short_message: 's', full_message: 's\n at f()' },
    { message: 's\n at f()', fields: { short_message: 's' } },
  ],
  ['one that says nothing', { host: 'a' }, { message: '{"host":"a"}' }],
  [
    'a level that is none',
    { short_message: 'm', level: 12, timestamp: 'now' },
    { '@timestamp': '2026-11-24T12:00:00.000Z', host: { name: '10.0.0.9' } },
  ],
  ['a level as text', { short_message: 'm', level: '7' }, { log: { level: 'debug' } }],
])('what %s sends is read', async (_, message, expected) => {
  const [document] = await documentsOf([messages('gelf', [JSON.stringify(message)])]);
  expect(document).toMatchObject(expected);
});

test('the parts of a long line are one record, though nothing marks them', async () => {
  const [piece, rest] = ['a'.repeat(16_384), 'b'];
  const frames = [docker(piece), docker('err', { level: 3 }), docker(piece), docker(rest), docker('next')];
  const found = await documentsOf([messages('gelf', frames)]);
  expect(found.map(({ message }) => message)).toEqual(['err', `${piece}${piece}b`, 'next']);
});

test('a cut through a character, of which Go makes signs of its own, still is one', async () => {
  // A character of 3 bytes, 1 of them in the first piece: Go writes a sign for each byte that is no character.
  const first = `${'a'.repeat(16_383)}\ufffd`;
  const found = await documentsOf([messages('gelf', [docker(first), docker('\ufffd\ufffdrest')])]);
  expect(found.map(({ message }) => message)).toEqual([`${first}\ufffd\ufffdrest`]);
});

test.each([
  ['no JSON', '{"short_message":'],
  ['no object', '["short_message"]'],
  ['nested deeper than anyone sends', `{"short_message":"m","_a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
  [
    'more keys than anyone sends',
    JSON.stringify(Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`_${n}`, n]))),
  ],
])('what is %s is a record of its text that says so', async (_, text) => {
  const [document] = await documentsOf([messages('gelf', [text])]);
  expect(document).toMatchObject({ message: text, tags: ['parse_failure'] });
});

test('the rest of a message that was cut is no message of its own', async () => {
  const whole = docker('x');
  const found = await documentsOf([
    messages('gelf', [whole.slice(0, 40)], { flags: { cut: true } }),
    messages('gelf', [whole.slice(40)], { flags: { continued: true } }),
  ]);
  expect(found.map(({ message, tags }) => [message, tags])).toEqual([
    [whole.slice(0, 40), ['truncated', 'parse_failure']],
    [whole.slice(40), ['truncated', 'parse_failure']],
  ]);
});

test('whatever the fields, a message becomes a document, and keeps its text', async () => {
  const key = fc.constantFrom(
    'host',
    'level',
    'timestamp',
    'full_message',
    '_container_id',
    '_tag',
    '_image_name',
    '__proto__',
    '_x',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(key, fc.jsonValue()), { maxLength: 9 }), async (members) => {
      const fields = members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
      const [document] = await documentsOf([messages('gelf', [`{${fields.join(',')}}`])]);
      expect(typeof document?.['message']).toBe('string');
    }),
  );
});
