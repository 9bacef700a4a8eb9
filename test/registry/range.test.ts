import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseRange } from '../../src/registry/range.ts';

const table: readonly [field: string, size: number, ranges: readonly [number, number][] | undefined][] = [
  ['bytes=0-0', 10, [[0, 0]]],
  ['bytes=2-5', 10, [[2, 5]]],
  ['bytes=2-', 10, [[2, 9]]],
  ['bytes=-3', 10, [[7, 9]]],
  ['bytes=-30', 10, [[0, 9]]],
  ['bytes=2-99', 10, [[2, 9]]],
  ['bytes=0-99999999999999999999999', 10, [[0, 9]]],
  ['BYTES=2-5', 10, [[2, 5]]],
  [
    'bytes=0-1,4-5',
    10,
    [
      [0, 1],
      [4, 5],
    ],
  ],
  [
    'bytes= 0-1 ,\t-2, ,',
    10,
    [
      [0, 1],
      [8, 9],
    ],
  ],
  // Those that cannot be had are left out, unless none is left.
  ['bytes=0-1,50-60', 10, [[0, 1]]],
  ['bytes=10-', 10, []],
  ['bytes=10-20', 10, []],
  ['bytes=-0', 10, []],
  ['bytes=5-0', 10, []],
  ['bytes=99999999999999999999999-', 10, []],
  ['bytes=0-', 0, []],
  ['bytes=-5', 0, []],
  // No list of byte ranges.
  ['bytes=a-b', 10, undefined],
  ['bytes=1', 10, undefined],
  ['bytes=-', 10, undefined],
  ['bytes=--1', 10, undefined],
  ['bytes=+1-2', 10, undefined],
  ['bytes=0x1-2', 10, undefined],
  ['lines=1-2', 10, undefined],
  ['1-2', 10, undefined],
  // Many at once.
  [`bytes=${'0-0,'.repeat(1024)}`, 2000, Array.from({ length: 1024 }, () => [0, 0] as const)],
  [`bytes=${'0-0,'.repeat(1025)}`, 2000, undefined],
  // More than the whole is asked for.
  ['bytes=0-,0-,0-', 10, undefined],
  ['bytes=0-5,4-9', 10, undefined],
];

test.each(table)('%s of %i bytes is %j', (field, size, expected) => {
  expect(parseRange(field, size)).toEqual(expected?.map(([start, end]) => ({ start, end })));
});

test('whatever a field says, its ranges lie in the content and are no more than the whole', () => {
  const end = fc.oneof(fc.constant(''), fc.nat(40).map(String), fc.bigInt({ min: 0n }).map(String));
  const spec = fc.tuple(end, end).map(([first, last]) => `${first}-${last}`);
  const field = fc.array(fc.oneof(spec, fc.string()), { maxLength: 8 }).map((specs) => `bytes=${specs.join(',')}`);
  fc.assert(
    fc.property(field, fc.nat(30), (text, size) => {
      const ranges = parseRange(text, size) ?? [];
      for (const { start, end } of ranges) {
        expect(start).toBeGreaterThanOrEqual(0);
        expect(end).toBeGreaterThanOrEqual(start);
        expect(end).toBeLessThan(size);
      }
      expect(ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0)).toBeLessThanOrEqual(size);
    }),
  );
});
