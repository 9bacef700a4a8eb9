import { expect, test } from 'vitest';
import { z } from 'zod';
import { list, strings } from '../../storage/first-issue.ts';
import { checkUnambiguous } from '../../storage/unambiguous.ts';

const named = { mediaType: 'a/b', digest: `sha256:${'1'.repeat(64)}`, size: 3 };
const many = <T>(wrong: T): T[] => Array.from({ length: 1000 }, () => wrong);

test('of a list, nothing is looked at after the first entry that is wrong', () => {
  let looked = 0;
  const entry = z.custom<number>((value) => {
    looked += 1;
    return value === 1;
  }, 'expected 1');
  expect(list(entry).safeParse([1, 1, 2, 2, 2]).error?.issues).toMatchObject([{ path: [2], message: 'expected 1' }]);
  expect(looked).toBe(3);
  expect(list(entry).parse([1, 1])).toEqual([1, 1]);
  expect(list(entry).safeParse({ 0: 1 }).success).toBe(false);
});

test('of an object of strings, one value that is none is told of', () => {
  expect(strings.safeParse({ a: 'b', c: 1, d: 2 }).error?.issues).toMatchObject([{ path: ['c'] }]);
  expect(strings.parse({ a: 'b' })).toEqual({ a: 'b' });
  for (const wrong of [['a'], null, 'a']) expect(strings.safeParse(wrong).success).toBe(false);
});

test.each([
  ['layers', { config: named, layers: many({}) }],
  ['urls', { config: { ...named, urls: many(0) }, layers: [] }],
  ['manifests', { manifests: many({ ...named, platform: 0 }) }],
  ['features', { manifests: [{ ...named, platform: { 'os.features': many(0) } }] }],
  ['annotations', { manifests: [], annotations: Object.fromEntries(many(0).entries()) }],
])('a manifest of many wrong %s is refused in few words', (_, document) => {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...document }));
  expect(() => checkUnambiguous(bytes)).toThrow(/^[^]{1,500}$/);
});
