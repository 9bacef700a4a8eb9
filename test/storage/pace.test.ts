import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Pace } from '../../storage/pace.ts';

vi.mock('node:timers/promises', () => ({
  setTimeout: async (ms: number): Promise<void> => void vi.advanceTimersByTime(ms),
}));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const { signal } = new AbortController();

test('so many bytes take as long as the rate says, in pieces of any size', async () => {
  for (const piece of [1, 10, 1000, 5000]) {
    const pace = new Pace(1000);
    const began = performance.now();
    for (let sent = 0; sent < 10_000; sent += piece) await pace.spend(piece, signal);
    expect(performance.now() - began).toBeGreaterThan(10_000 - 100);
    expect(performance.now() - began).toBeLessThanOrEqual(10_000);
  }
});

test('work that is slower than its rate is not held back, and does not catch up', async () => {
  const pace = new Pace(1000);
  for (let second = 0; second < 10; second += 1) {
    vi.advanceTimersByTime(1000);
    const began = performance.now();
    await pace.spend(10, signal);
    expect(performance.now() - began).toBe(0);
  }
  const began = performance.now();
  await pace.spend(5000, signal);
  expect(performance.now() - began).toBeGreaterThanOrEqual(5000);
});

test('it ends with its signal', async () => {
  await expect(new Pace(1e9).spend(1, AbortSignal.abort())).rejects.toThrow();
});
