import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { shorten } from '../../ingest/sinks/elasticsearch-answers.ts';

const stored = { create: { _index: '.ds-logs-docker-default-000001', status: 201 } };
const other = { create: { _index: '.ds-logs-docker-default-000002', status: 201 } };
const failed = { create: { status: 400, error: { type: 'a', reason: '}},{"create":{}' } } };

/** The items that an answer stands for. */
function itemsOf(json: string): unknown[] {
  const { items, alike }: { items: unknown[]; alike?: number } = JSON.parse(json);
  return alike === undefined ? items : Array.from({ length: alike }, () => items[0]);
}

test('items that are alike are told once, with their number', () => {
  const answer = JSON.stringify({ errors: false, items: Array.from({ length: 5000 }, () => stored) });
  const short = shorten(answer);
  expect(JSON.parse(short)).toEqual({ errors: false, alike: 5000, items: [stored] });
});

test('whatever an answer has, it stands for the same items', () => {
  const item = fc.constantFrom<unknown>(stored, stored, stored, other, failed, {}, { a: [{ b: { c: {} } }] });
  fc.assert(
    fc.property(fc.array(item, { maxLength: 6 }), fc.boolean(), (items, errors) => {
      expect(itemsOf(shorten(JSON.stringify({ errors, items })))).toEqual(items);
    }),
  );
});

test.each([
  '',
  '{',
  '{"errors":false,"items":[',
  '{"errors":false,"items":[]}',
  '<html>',
  '{"errors":false,"items":[}},]}',
])('what is no such answer stays as it is: %s', (text) => {
  expect(shorten(text)).toBe(text);
});
