import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { warnOfLag } from '../../ingest/lag.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('it is told while records wait longer and longer, and when they do no more', () => {
  const said: string[] = [];
  const say = (_: object, message: string): void => void said.push(message);
  let oldest: number | undefined;
  const lag = (): number => (oldest === undefined ? 0 : Date.now() - oldest);
  using _watch = warnOfLag(lag, () => 5, { info: say, warn: say, error: say });
  vi.advanceTimersByTime(300_000);
  expect(said).toEqual([]);
  oldest = Date.now();
  vi.advanceTimersByTime(180_000);
  expect(said).toEqual(Array(2).fill('records wait longer and longer for the log sink'));
  // It catches up: what is oldest came later each time.
  oldest += 120_000;
  vi.advanceTimersByTime(60_000);
  expect(said).toHaveLength(2);
  oldest = undefined;
  vi.advanceTimersByTime(300_000);
  expect(said.slice(2)).toEqual(['records wait for the log sink no more']);
});
