import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Query } from '../../ingest/query/ast.ts';
import { QuerySyntaxError } from '../../ingest/query/errors.ts';
import { bounds, parseQuery } from '../../ingest/query/parse.ts';
import { printQuery } from '../support/print-query.ts';

const word = (...words: string[]): Query => ({ kind: 'words', field: 'message', words, prefix: false });
const start = (...words: string[]): Query => ({ kind: 'words', field: 'message', words, prefix: true });
const field = (fields: string[], ...pattern: string[]): Query => ({ kind: 'field', fields, pattern });
const and = (...operands: Query[]): Query => ({ kind: 'and', operands });
const or = (...operands: Query[]): Query => ({ kind: 'or', operands });
const not = (operand: Query): Query => ({ kind: 'not', operand });
const imageNames = ['container.image.name', 'shiplog.image.repository'];
const containerNames = ['container.name', 'container.id'];

const understood: [string, Query | undefined][] = [
  ['', undefined],
  [' \t ', undefined],
  ['*', and()],
  ['Error', word('error')],
  ['error time', and(word('error'), word('time'))],
  ['error AND time OR NOT disk', or(and(word('error'), word('time')), not(word('disk')))],
  ['a (b OR c)', and(word('a'), or(word('b'), word('c')))],
  ['and or not', and(word('and'), word('or'), word('not'))],
  ['"AND"', word('and')],
  ['NOT NOT a', not(not(word('a')))],
  ['"Connection refused"', word('connection', 'refused')],
  ['conn*', start('conn')],
  ['10.0.0.1', word('10', '0', '0', '1')],
  ['10.0.*', word('10', '0')],
  ['user_id*', start('user', 'id')],
  ['12:30:05', word('12', '30', '05')],
  ['a"b c"d', and(word('a'), word('b', 'c'), word('d'))],
  ['host:web-1', field(['host.name'], 'web-1')],
  ['host:web-*', field(['host.name'], 'web-', '')],
  ['host:*web**1*', field(['host.name'], '', 'web', '1', '')],
  ['host:"web *"', field(['host.name'], 'web *')],
  ['host:web\\ \\*', field(['host.name'], 'web *')],
  ['host:""', field(['host.name'], '')],
  ['host:*', field(['host.name'], '', '')],
  ['(host:a)', field(['host.name'], 'a')],
  ['cluster:prod', field(['orchestrator.cluster.name'], 'prod')],
  ['digest:sha256:abc*', field(['container.image.hash.all'], 'sha256:abc', '')],
  ['tag:1.4', field(['container.image.tag'], '1.4')],
  ['level:error', field(['log.level'], 'error')],
  ['stream:stderr', field(['shiplog.stream'], 'stderr')],
  ['image:team/web', field(imageNames, 'team/web')],
  ['image:team/*', field(imageNames, 'team/', '')],
  ['image:team/web:1.4', and(field(imageNames, 'team/web'), field(['container.image.tag'], '1.4'))],
  ['image:team/*:1.*', and(field(imageNames, 'team/', ''), field(['container.image.tag'], '1.', ''))],
  ['image:localhost:5000/web', field(imageNames, 'localhost:5000/web')],
  ['image:web@sha256:ab', and(field(imageNames, 'web'), field(['container.image.hash.all'], 'sha256:ab'))],
  [
    'image:web:1@sha256:ab',
    and(
      field(imageNames, 'web'),
      field(['container.image.tag'], '1'),
      field(['container.image.hash.all'], 'sha256:ab'),
    ),
  ],
  ['image:*', field(imageNames, '', '')],
  ['container:web-1', field(containerNames, 'web-1')],
  ['container:0123456789a', field(containerNames, '0123456789a')],
  [
    'container:0123456789ab',
    or(field(['container.name'], '0123456789ab'), field(['container.id'], '0123456789ab', '')),
  ],
  ['digest:0123456789ab', field(['container.image.hash.all'], 'sha256:0123456789ab', '')],
  ['digest:sha512:0123456789ab', field(['container.image.hash.all'], 'sha512:0123456789ab', '')],
  [`digest:${'ab'.repeat(32)}`, field(['container.image.hash.all'], `sha256:${'ab'.repeat(32)}`)],
  ['digest:0123456789a', field(['container.image.hash.all'], '0123456789a')],
  ['fields.user.id:42', field(['fields.user.id'], '42')],
  ['container.labels.com.docker/x:1', field(['container.labels.com.docker/x'], '1')],
  ['tags:truncated', field(['tags'], 'truncated')],
  ['message:foo', word('foo')],
  ['message:"a b"', word('a', 'b')],
  ['message:*', field(['message'], '', '')],
  ['error.message:disk*', { kind: 'words', field: 'error.message', words: ['disk'], prefix: true }],
  ['source.ip:10.0.0.1', field(['source.ip'], '10.0.0.1')],
  ['source.port:*', field(['source.port'], '', '')],
];

test.each(understood)('%s is understood', (text, query) => {
  expect(parseQuery(text)).toEqual(query);
});

const refused: [string, string, number][] = [
  ['a "b', 'QUOTE_OPEN', 2],
  ['(a', 'PARENTHESIS', 0],
  ['a)', 'PARENTHESIS', 1],
  ['()', 'TERM_MISSING', 1],
  ['a AND', 'TERM_MISSING', 5],
  ['OR a', 'TERM_MISSING', 0],
  ['a NOT', 'TERM_MISSING', 5],
  ['a hots:web', 'FIELD_UNKNOWN', 2],
  ['http://x', 'FIELD_UNKNOWN', 0],
  ['fields:x', 'FIELD_UNKNOWN', 0],
  ['fields.:x', 'FIELD_UNKNOWN', 0],
  ['__proto__:x', 'FIELD_UNKNOWN', 0],
  ['constructor:x', 'FIELD_UNKNOWN', 0],
  ['host: web', 'VALUE_MISSING', 0],
  ['host:', 'VALUE_MISSING', 0],
  ['source.ip:10.*', 'VALUE_INVALID', 0],
  ['source.ip:fe80::1%eth0', 'VALUE_INVALID', 0],
  ['source.port:http', 'VALUE_INVALID', 0],
  ['source.port:12345678901', 'VALUE_INVALID', 0],
  ['---', 'WORD_MISSING', 0],
  ['""', 'WORD_MISSING', 0],
  ['error.message:"?"', 'WORD_MISSING', 0],
  ['*foo', 'WILDCARD', 0],
  ['fo*o', 'WILDCARD', 0],
  ['host:a*b*c*d*e*f', 'WILDCARD', 0],
  ['fields.x:*a', 'WILDCARD', 0],
  ['fields.x:a*b', 'WILDCARD', 0],
  ['x '.repeat(bounds.terms + 1), 'TOO_MANY_TERMS', 2 * bounds.terms],
  ['('.repeat(bounds.depth + 1) + 'a', 'TOO_DEEP', bounds.depth + 1],
  ['NOT '.repeat(bounds.depth + 1) + 'a', 'TOO_DEEP', 4 * (bounds.depth + 1)],
  ['a'.repeat(bounds.length + 1), 'TOO_LONG', bounds.length],
];

test.each(refused)('%s is refused, with code and place', (text, code, position) => {
  expect(() => parseQuery(text)).toThrow(expect.objectContaining({ name: 'QuerySyntaxError', code, position }));
});

test('an unknown field is answered with the known ones', () => {
  expect(() => parseQuery('hots:web')).toThrow(/hots.*host, cluster, image.*fields\.…/s);
});

test('whatever the text, a query comes out or a QuerySyntaxError', () => {
  const pieces = fc.constantFrom(
    ...'ab*:"\\()/@. '.split(''),
    'AND',
    'OR',
    'NOT ',
    'host:',
    'image:',
    'fields.x:',
    '\n',
  );
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(pieces, { maxLength: 40 }).map((all) => all.join('')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      try {
        parseQuery(text);
      } catch (error) {
        expect(error).toBeInstanceOf(QuerySyntaxError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a printed query is read as the same query', () => {
  const words = fc.array(fc.stringMatching(/^[a-z0-9]{1,6}$/), { minLength: 1, maxLength: 3 });
  const piece = fc.string({ maxLength: 6 }).filter((text) => text === text.replace(/\p{C}/gv, ''));
  const patterns = fc
    .array(piece, { minLength: 1, maxLength: 4 })
    .filter((pieces) => pieces.slice(1, -1).every((piece) => piece !== ''));
  const { query } = fc.letrec<{ query: Query }>((tie) => ({
    query: fc.oneof(
      { depthSize: 'small', maxDepth: 4 },
      fc.record({
        kind: fc.constant('words' as const),
        field: fc.constantFrom('message', 'error.message'),
        words,
        prefix: fc.boolean(),
      }),
      fc.record({
        kind: fc.constant('field' as const),
        fields: fc.constantFrom(['host.name'], ['tags'], ['log.level']),
        pattern: patterns,
      }),
      fc.record({ kind: fc.constant('not' as const), operand: tie('query') }),
      fc.record({
        kind: fc.constantFrom('and' as const, 'or' as const),
        operands: fc.array(tie('query'), { minLength: 2, maxLength: 3 }),
      }),
    ),
  }));
  fc.assert(
    fc.property(query, (query) => {
      const text = printQuery(query);
      fc.pre(text.length <= bounds.length);
      try {
        expect(parseQuery(text)).toEqual(query);
      } catch (error) {
        if (!(error instanceof QuerySyntaxError) || error.code !== 'TOO_MANY_TERMS') throw error;
      }
    }),
    { numRuns: 500 },
  );
});
