import { expect, test } from 'vitest';
import { formatTime, parseBsdStamp, parseIsoStamp, resolveJsonTime, resolveTime } from '../../ingest/parse/time.ts';

const at = (text: string): number => Date.parse(text) * 1000;

function resolve(text: string, arrival: string): string {
  const stamp = parseBsdStamp(text, 0) ?? parseIsoStamp(text, 0);
  const { timestamp, exact } = resolveTime(stamp, at(arrival));
  return `${formatTime(timestamp)}${exact ? '' : ' not exact'}`;
}

test.each([
  ['a fraction is kept', '2026-08-03T10:00:00.123456+02:00', '2026-08-03T08:00:01Z', '2026-08-03T08:00:00.123456Z'],
  ['nanoseconds are cut', '2026-08-03T08:00:00.123456789Z', '2026-08-03T08:00:01Z', '2026-08-03T08:00:00.123456Z'],
  [
    'whole seconds near the arrival take it',
    '2026-08-03T08:00:00Z',
    '2026-08-03T08:00:01.5Z',
    '2026-08-03T08:00:01.500Z not exact',
  ],
  ['whole seconds of long ago stand', '2026-08-03T08:00:00Z', '2026-08-03T08:00:03Z', '2026-08-03T08:00:00.000Z'],
  [
    'a day away takes the arrival',
    '2026-08-01T08:00:00Z',
    '2026-08-03T08:00:00Z',
    '2026-08-03T08:00:00.000Z not exact',
  ],
  ['no zone: UTC+2', 'Aug  3 10:00:00', '2026-08-03T08:00:00.7Z', '2026-08-03T08:00:00.700Z not exact'],
  ['no zone: UTC+5:45', 'Aug  3 13:45:00', '2026-08-03T08:00:00.7Z', '2026-08-03T08:00:00.700Z not exact'],
  ['no zone, a minute late', 'Aug  3 10:00:00', '2026-08-03T08:01:00Z', '2026-08-03T08:00:00.000Z not exact'],
  ['no zone over New Year, east', 'Jan  1 01:00:00', '2026-12-31T23:01:00Z', '2026-12-31T23:00:00.000Z not exact'],
  ['no zone over New Year, west', 'Dec 31 20:00:00', '2027-01-01T01:01:00Z', '2027-01-01T01:00:00.000Z not exact'],
  ['last year, just before', 'Dec 31 23:59:00', '2027-01-01T00:01:00Z', '2026-12-31T23:59:00.000Z not exact'],
  ['29 February in a leap year', 'Feb 29 10:00:00', '2028-02-29T10:01:00Z', '2028-02-29T10:00:00.000Z not exact'],
  ['29 February in no leap year', 'Feb 29 10:00:00', '2026-03-01T10:01:00Z', '2026-03-01T10:01:00.000Z not exact'],
  ['a leap second', '2026-06-30T23:59:60.5Z', '2026-07-01T00:00:05Z', '2026-06-30T23:59:59.500Z'],
])('%s', (_, stamp, arrival, expected) => {
  expect(resolve(stamp, arrival)).toBe(expected);
});

test.each([
  'Foo  3 10:00:00',
  'Aug 32 10:00:00',
  'Aug  3 25:00:00',
  'Aug  0 10:00:00',
  '2026-13-01T10:00:00Z',
  '2026-08-03',
  '2026-08-03x10:00:00',
])('%s is no time', (text) => {
  expect(parseBsdStamp(text, 0) ?? parseIsoStamp(text, 0)).toBeUndefined();
});

test.each([
  ['RFC 3339', '2026-08-03T08:00:00.5Z'],
  ['seconds', 1785744000.5],
  ['ms', 1785744000500],
  ['µs', 1785744000500000],
  ['ns', 1785744000500000000],
  ['ns as text', '1785744000500000000'],
])('a JSON time in %s', (_, value) => {
  expect(resolveJsonTime(value, at('2026-08-03T08:00:02Z'))).toEqual({
    timestamp: at('2026-08-03T08:00:00.5Z'),
    exact: true,
  });
});

test.each([[''], ['yesterday'], [null], [{}], [-5], [Number.NaN], [true]])('%j is no JSON time', (value) => {
  expect(resolveJsonTime(value, at('2026-08-03T08:00:02Z'))).toBeUndefined();
});
