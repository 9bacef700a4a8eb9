import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { warnOfLag } from '../../ingest/lag.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('it is told while records wait longer and longer, and when they do no more', () => {
  const said: string[] = [];
  const say = (_: object, message: string): void => void said.push(message);
  const shipper: { oldest: number | undefined; inFlight: number } = { oldest: undefined, inFlight: 5 };
  using _watch = warnOfLag(shipper, { info: say, warn: say, error: say });
  vi.advanceTimersByTime(300_000);
  expect(said).toEqual([]);
  shipper.oldest = Date.now() * 1000;
  vi.advanceTimersByTime(180_000);
  expect(said).toEqual(Array(2).fill('records wait longer and longer for the log sink'));
  // It catches up: what is oldest came later each time.
  shipper.oldest += 120_000_000;
  vi.advanceTimersByTime(60_000);
  expect(said).toHaveLength(2);
  shipper.oldest = undefined;
  vi.advanceTimersByTime(300_000);
  expect(said.slice(2)).toEqual(['records wait for the log sink no more']);
});
