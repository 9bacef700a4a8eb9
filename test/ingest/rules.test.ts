import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Block, StoredBlock } from '../../ingest/block.ts';
import { createRenderer, type Renderer } from '../../ingest/parse/documents.ts';
import { globMatcher } from '../../ingest/rules/glob.ts';
import { compilePattern, PatternError } from '../../ingest/rules/pattern.ts';
import type { RateLimit } from '../../ingest/rules/rate.ts';
import { builtIns } from '../../ingest/rules/redact.ts';
import type { Action, Match, Rule } from '../../ingest/rules/rule.ts';
import { Rules } from '../../ingest/rules/rules.ts';
import { quiet } from '../support/log.ts';
import { documentsIn, type RenderedDocument } from '../support/rendered.ts';
import { noon } from '../support/rendering.ts';

const id = 'ab'.repeat(32);
const tagOf = (name: string): string => `v1|${id}|${name}|registry.corp/team/web:1||node1|prod`;
const header = (name = 'web-1'): string => `<30>1 2026-11-24T12:00:00Z node1 ${tagOf(name)} 9 ${tagOf(name)} - `;
const line = (text: string, name?: string): string => `${header(name)}${text}\n`;

const rule = (action: Action, match: Match = {}, name = 'one'): Rule => ({ name, match, action });
const drop: Action = { kind: 'drop' };

/** A block of lines; `at`: s after noon. */
function block(lines: string, at = 0): Block {
  const source = { listener: 'syslog-tcp', connection: '1'.repeat(32), peer: { address: '10.0.0.9', port: 4711 } };
  return { kind: 'lf-stream', source, arrivedAt: noon + at * 1_000_000, flags: {}, payload: Buffer.from(lines) };
}

interface Rendered {
  readonly renderer: Renderer;
  readonly dropped: number;
  readonly documents: readonly RenderedDocument[];
  /** Their JSON. */
  readonly read: readonly Readonly<Record<string, unknown>>[];
  readonly messages: readonly unknown[];
}

/** What is made of blocks that lie one behind the other in a segment, from one of them on. */
async function render(
  blocks: readonly Block[],
  rules: readonly Rule[],
  { rateLimit, from = 0 }: { readonly rateLimit?: RateLimit; readonly from?: number } = {},
): Promise<Rendered> {
  const renderer = createRenderer({
    clusters: { fallback: 'default', reserved: new Set() },
    dataset: 'docker',
    namespace: 'main',
    lookup: async () => undefined,
    rules: new Rules(rules, rateLimit),
    log: quiet,
  });
  const rendering = renderer.open([]);
  const documents: RenderedDocument[] = [];
  let offset = 64;
  for (const [index, one] of blocks.entries()) {
    const stored: StoredBlock = { ...one, segment: { id: 'cd'.repeat(16), base: noon }, offset: offset + 100 };
    const parts = rendering.documents(stored, { segment: 1, offset }, new AbortController().signal);
    offset += 100 + one.payload.length;
    if (index >= from) for await (const part of parts) documents.push(...documentsIn(part));
  }
  documents.push(...documentsIn(rendering.end()));
  const read: Record<string, unknown>[] = documents.map(({ json }) => JSON.parse(json));
  return { renderer, dropped: rendering.dropped, documents, read, messages: read.map(({ message }) => message) };
}

const notes = ({ documents }: Rendered): RenderedDocument[] =>
  documents.filter(({ record }) => record.tags?.includes('dropped') === true);
const kept = ({ documents }: Rendered): RenderedDocument[] =>
  documents.filter(({ record }) => record.tags?.includes('dropped') !== true);

test.each<[match: Match, holds: boolean]>([
  [{}, true],
  [{ image: ['team/web'] }, true],
  [{ image: ['registry.corp/*'] }, true],
  [{ image: ['x', '*/web'] }, true],
  [{ image: ['web'] }, false],
  [{ host: ['node*'] }, true],
  [{ host: ['node2'] }, false],
  [{ cluster: ['prod'] }, true],
  [{ cluster: ['default'] }, false],
  [{ container: ['web-?'] }, false],
  [{ container: ['web-*'] }, true],
  [{ container: [id] }, true],
  [{ level: ['error', 'warning'] }, true],
  [{ level: ['info'] }, false],
  [{ contains: '/healthz"' }, true],
  [{ contains: '/HEALTHZ' }, false],
  [{ matches: 'status":2\\d\\d\\b' }, true],
  [{ matches: '^GET' }, false],
  [{ image: ['team/web'], contains: 'nothing' }, false],
])('a rule is for what all of its conditions hold for: %j', async (match, holds) => {
  const json = '{"level":"warn","msg":"request","url":"/healthz","status":200}';
  const rendered = await render([block(line(json))], [rule(drop, match)]);
  expect(kept(rendered)).toHaveLength(holds ? 0 : 1);
  expect(rendered.renderer.counts.rules).toEqual({ one: holds ? 1 : 0 });
});

test('rules act in order, each on what the ones before it left', async () => {
  const rules = [
    rule({ kind: 'set', fields: { 'log.level': 'debug' } }, { contains: 'noise' }, 'set'),
    rule(drop, { level: ['debug'] }, 'drop'),
    rule({ kind: 'redact', patterns: [{ pattern: 'secret' }] }, {}, 'redact'),
    rule(drop, { contains: 'secret' }, 'never'),
  ];
  const rendered = await render([block(line('noise') + line('secret') + line('text'))], rules);
  expect(kept(rendered).map(({ record }) => record.message)).toEqual(['[redacted]', 'text']);
  expect(rendered.renderer.counts.rules).toEqual({ set: 1, drop: 1, redact: 1, never: 0 });
});

test('a field that is set holds against what the record says of it', async () => {
  const fields = { 'log.level': 'notice', 'service.name': 'pay', 'service.version': '2', 'labels.team': 'money' };
  const { read } = await render(
    [block(line('{"level":"error","service.name":"web","msg":"x"}') + line('x'))],
    [rule({ kind: 'set', fields })],
  );
  for (const document of read) {
    expect(document).toMatchObject({
      log: { level: 'notice', syslog: { priority: 30 } },
      service: { name: 'pay', version: '2' },
      labels: { team: 'money' },
    });
  }
});

test('of a sample one of so many is kept, and always the same', async () => {
  const lines = Array.from({ length: 2000 }, (_, index) => line(`line ${index}`));
  const sample = rule({ kind: 'sample', of: 10 });
  const first = kept(await render([block(lines.join(''))], [sample]));
  expect(first.length).toBeGreaterThan(120);
  expect(first.length).toBeLessThan(280);
  const again = kept(await render([block(lines.slice(0, 1000).join('')), block(lines.slice(1000).join(''))], [sample]));
  expect(again.length).toBeGreaterThan(120);
  const repeated = kept(await render([block(lines.join(''))], [sample]));
  expect(repeated.map(({ record }) => record.id)).toEqual(first.map(({ record }) => record.id));
});

describe('what is dropped', () => {
  const blocks = [
    block(line('drop 1') + line('stay 1') + line('drop 2', 'web-2'), 0),
    block(line('drop 3'), 30),
    block(line('stay 2'), 61),
    block(line('drop 4') + line('stay 3'), 63),
    block(line('stay 4'), 130),
  ];
  const rules = [rule(drop, { contains: 'drop' }, 'noise')];
  const summary = (document: RenderedDocument): unknown => [
    document.record.container?.id,
    document.record.fields,
    document.record.message,
  ];

  test('is told of once a minute, when the minute is over', async () => {
    const rendered = await render(blocks, rules);
    expect(rendered.messages).toEqual([
      'stay 1',
      'stay 2',
      '3 records were dropped by the rule noise',
      'stay 3',
      '1 record was dropped by the rule noise',
      'stay 4',
    ]);
    expect(rendered.dropped).toBe(4);
    expect(notes(rendered).map(summary)).toEqual([
      [id, { rule: 'noise', dropped: 3 }, '3 records were dropped by the rule noise'],
      [id, { rule: 'noise', dropped: 1 }, '1 record was dropped by the rule noise'],
    ]);
    expect(rendered.read.find(({ tags }) => tags !== undefined)).toMatchObject({
      '@timestamp': '2026-11-24T12:00:30.000Z',
      tags: ['dropped'],
      host: { name: 'node1' },
      orchestrator: { cluster: { name: 'prod' } },
      container: { id, image: { name: 'registry.corp/team/web' } },
    });
  });

  test('is told of under ids that no record has, and which are the same from wherever the spool is read', async () => {
    const whole = await render(blocks, rules);
    const ids = whole.documents.map(({ record }) => record.id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((one) => /^[\w-]{40}$/.test(one))).toBe(true);
    for (const from of blocks.keys()) {
      const part = await render(blocks, rules, { from });
      expect(part.documents.map(({ record }) => record.id).filter((one) => !ids.includes(one))).toEqual([]);
    }
  });

  test('is told of at the end, when nothing more comes', async () => {
    expect((await render(blocks.slice(0, 2), rules)).messages).toEqual([
      'stay 1',
      '3 records were dropped by the rule noise',
    ]);
  });

  test('is told of without secrets', async () => {
    const secret = 'session=abcdef';
    const named = `<30>1 2026-11-24T12:00:00Z ${secret} app 9 - - drop\n`;
    const redact = rule({ kind: 'redact', patterns: [{ pattern: 'session=\\w+' }] }, {}, 'redact');
    const { documents } = await render([block(named)], [...rules, redact]);
    expect(documents.map(({ record }) => record.host)).toEqual(['[redacted]']);
    expect(JSON.stringify(documents.map(({ json }) => json))).not.toContain(secret);
  });
});

describe('the rate limit', () => {
  const rateLimit = { records: 3, per: 1000 };
  const five = (name: string, text = 'x'): string => line(text, name).repeat(5);
  const other = (text: string): string => line(text).replaceAll(id, 'cd'.repeat(32));

  test('lets each container log so much in each while', async () => {
    const rendered = await render(
      [block(five('a') + other('o').repeat(2), 0), block(five('a'), 0.5), block(five('a'), 1)],
      [],
      { rateLimit },
    );
    expect(kept(rendered).map(({ record }) => (record.createdAt - noon) / 1e6)).toEqual([0, 0, 0, 0, 0, 1, 1, 1]);
    expect(rendered.dropped).toBe(9);
    expect(rendered.renderer.counts.rules).toEqual({ rate_limit: 9 });
    expect(notes(rendered).map(({ record }) => record.fields)).toEqual([{ rule: 'rate_limit', dropped: 9 }]);
  });

  test('counts nothing that a rule drops', async () => {
    const lines = five('a', 'noise') + five('a');
    expect(kept(await render([block(lines)], [rule(drop, { contains: 'noise' })], { rateLimit }))).toHaveLength(3);
  });
});

const card = '4111 1111 1111 1111';
test.each<[name: keyof typeof builtIns, text: string, left: string]>([
  ['bearer', 'Authorization: Bearer abc.def-ghi_jkl== x', 'Authorization: Bearer [redacted] x'],
  ['bearer', 'BEARER: abcdefgh', 'BEARER: [redacted]'],
  ['bearer', 'the bearer of this', 'the bearer of this'],
  ['url-password', 'at postgres://me:p%40ss:w@db/x?y', 'at postgres://me:[redacted]@db/x?y'],
  ['url-password', 'redis://:p@ss@db http://a:b@c', 'redis://:[redacted]@db http://a:[redacted]@c'],
  ['url-password', 'http:\\/\\/a:b@c', 'http:\\/\\/a:[redacted]@c'],
  ['url-password', 'http://host:80/a@b mail a@b.c', 'http://host:80/a@b mail a@b.c'],
  ['card', `paid by ${card}.`, 'paid by [redacted].'],
  ['card', 'paid by 4111111111111111', 'paid by [redacted]'],
  ['card', `in 2026 ${card} 12`, 'in 2026 [redacted] 12'],
  ['card', '3782-822463-10005', '[redacted]'],
  ['card', `${card} ${card}`, '[redacted] [redacted]'],
  // A wrong check digit; a time in ns; more digits than a card has.
  ['card', '4111 1111 1111 1112', '4111 1111 1111 1112'],
  ['card', '1785744000000000000', '1785744000000000000'],
  ['card', '41111111111111111111111', '41111111111111111111111'],
])('of secrets %s is redacted: %s', (name, text, left) => {
  expect(builtIns[name](text)).toBe(left);
});

const secrets = ['Bearer abcd1234efgh', 'https://me:hunter22@db', '4111-1111-1111-1111', 'session=9f8e7d6c'];
const hidden = ['abcd1234efgh', 'hunter22', '4111-1111-1111-1111', '4111111111111111', '9f8e7d6c'];
const redactAll = rule({
  kind: 'redact',
  patterns: ['bearer', 'url-password', 'card', { pattern: 'session=\\w+' }],
});

test.each<[what: string, text: string]>([
  ['the text', line(secrets.join(' '))],
  ['the program', `<30>1 2026-11-24T12:00:00Z node1 ${secrets[3]} 9 - - x\n`],
  ['the host', `<30>1 2026-11-24T12:00:00Z ${secrets[3]} app 9 - - x\n`],
  ['structured data', `<30>1 2026-11-24T12:00:00Z node1 app 9 - [a b="${secrets[0]}" session=9f8e7d6c="1"] x\n`],
  ['JSON without a message', line(JSON.stringify({ a: secrets }))],
  ['JSON whose message is escaped', line('{"msg":"Be\\u0061rer abcd1234efgh","a":"https:\\/\\/me:hunter22@db"}')],
  ['JSON that is the message, escaped', line('{"a":"Be\\u0061rer abcd1234efgh","card":4111111111111111}')],
  ['a number', line('{"msg":"x","card":4111111111111111}')],
  ['a key', line('{"msg":"x","a":{"session=9f8e7d6c":1}}')],
  ['an error', line(JSON.stringify({ msg: 'x', err: { message: secrets[1], stack: secrets[0], type: secrets[3] } }))],
  ['a logger', line(JSON.stringify({ msg: 'x', logger: secrets[3], trace_id: secrets[3] }))],
])('a secret is redacted in %s', async (_where, text) => {
  const { documents, renderer } = await render([block(text)], [redactAll]);
  expect(documents).toHaveLength(1);
  for (const secret of hidden) expect(documents[0]?.json).not.toContain(secret);
  expect(renderer.counts.rules).toEqual({ one: 1 });
});

test('a rule that redacts spoils neither numbers nor addresses of the document', async () => {
  const everything = rule({ kind: 'redact', patterns: [{ pattern: '[\\w.:-]+' }] });
  const { read } = await render([block(line('x {"a":1}'))], [everything]);
  expect(read).toMatchObject([
    {
      '@timestamp': '2026-11-24T12:00:00.000Z',
      message: '[redacted] {"[redacted]"[redacted]}',
      log: { syslog: { priority: 30 } },
      event: { sequence: noon + 164 },
      source: { ip: '10.0.0.9', port: 4711 },
      shiplog: { stream: 'stdout' },
    },
  ]);
});

test('no rule makes rendering throw, nor leaves a secret anywhere', async () => {
  const secret = fc.constantFrom(...secrets);
  const text = fc
    .tuple(fc.string({ unit: 'binary', maxLength: 20 }), secret, fc.constantFrom('', ' ', '"', ' x'))
    .map(([before, one, after]) => `${before.replaceAll(/[\w\n.~+/-]/g, '')} ${one}${after}`.toWellFormed());
  const object = fc.object({
    key: fc.oneof(text, fc.constantFrom('msg', 'err', '__proto__', 'a')),
    values: [text, fc.integer()],
  });
  const lines = fc.oneof(
    text,
    object.map((value) => JSON.stringify(value)),
    object.map((value) => JSON.stringify(value).replaceAll('/', '\\/').replaceAll('B', '\\u0042')),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(lines, { minLength: 1, maxLength: 5 }), async (all) => {
      const { documents } = await render([block(all.map((one) => line(one)).join(''))], [redactAll]);
      expect(documents).toHaveLength(all.length);
      for (const { json } of documents) for (const one of hidden) expect(json).not.toContain(one);
    }),
    { numRuns: 200 },
  );
});

test('patterns of names take any characters for a star, in linear time', () => {
  const is = (pattern: string, text: string): boolean => globMatcher(pattern)(text);
  expect(['a', 'a*', '*a', '*', 'a*a', '**'].map((pattern) => is(pattern, 'a'))).toEqual([
    true,
    true,
    true,
    true,
    false,
    true,
  ]);
  expect(is('a*b*c', 'a-b-bc')).toBe(true);
  expect(is('a*b*c', 'a-c-b')).toBe(false);
  expect(is('a.c', 'abc')).toBe(false);
  expect(is(`${'*a'.repeat(50)}b`, 'a'.repeat(100_000))).toBe(false);
});

test('a pattern that takes exponential time elsewhere takes little, and one that cannot be had so is refused', () => {
  expect(compilePattern('^(a+)+$').test(`${'a'.repeat(50_000)}b`)).toBe(false);
  expect(compilePattern('a*').replace('baa b', 'x')).toBe('bx b');
  for (const source of ['(a)\\1', '(?=a)', '(', 'a'.repeat(1001)]) {
    expect(() => compilePattern(source), source).toThrow(PatternError);
  }
});
