import { expect, test } from 'vitest';
import { valuesAt } from '../../ingest/query/values.ts';

test('a name finds what is under it, however its dots are parted into keys', () => {
  const document = { fields: { a: { b: { c: 1 }, 'b.c': [2, { c: 'no' }] }, 'a.b': { c: true }, 'a.b.c': 'x' } };
  expect(valuesAt(document, 'fields.a.b.c').toSorted()).toEqual(['1', '2', 'true', 'x']);
  expect(valuesAt([document, [{ 'fields.a.b.c': 'y' }]], 'fields.a.b.c')).toContain('y');
  expect(valuesAt(document, 'fields.__proto__.a')).toEqual([]);
});

test('a name of as many parts as a query can have costs no more than they are', () => {
  const name = `fields${'.a'.repeat(2000)}`;
  expect(valuesAt({ fields: { a: { [name.slice('fields.a.'.length)]: 'found' } } }, name)).toEqual(['found']);
});
