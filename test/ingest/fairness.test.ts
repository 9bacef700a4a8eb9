import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Fairness, type Load } from '../../ingest/listeners/fairness.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Connections that brought so many bytes each, over a spool that is so full. */
function loads(level: number, weights: readonly number[], dropsOldest = false): { fairness: Fairness; loads: Load[] } {
  const fairness = new Fairness({ level, dropsOldest });
  const loads = weights.map((weight) => {
    const load = fairness.add();
    load.add(weight);
    return load;
  });
  return { fairness, loads };
}

test.each([
  ['at half nobody waits', 0.5, [900, 50, 30, 20], []],
  ['above half the heaviest waits', 0.51, [900, 50, 30, 20], [900]],
  ['at three quarters those wait that bring half', 0.75, [300, 250, 250, 200], [300, 250]],
  ['one always goes on', 1, [300, 250, 250, 200], [300, 250, 250]],
  ['who brings nothing never waits', 0.99, [500, 0, 0, 500], [500]],
  ['one alone does not wait for others', 0.9, [500, 0], []],
])('%s', (_, level, weights, waiting) => {
  const { fairness, loads: all } = loads(level, weights);
  expect(
    all.filter((load) => fairness.mustWait(load)).map((load) => Math.round(load.weight(performance.now()))),
  ).toEqual(waiting);
});

test('before a spool that drops the oldest nobody waits', () => {
  const { fairness, loads: all } = loads(0.99, [900, 50, 30], true);
  expect(all.map((load) => fairness.mustWait(load))).toEqual([false, false, false]);
});

test('who waits goes on when others have brought as much, and what is long ago counts for less', () => {
  const { fairness, loads: all } = loads(0.6, [1000, 100]);
  const [heavy, light] = all;
  if (heavy === undefined || light === undefined) throw new Error('no loads');
  expect(fairness.mustWait(heavy)).toBe(true);
  const resume = vi.fn();
  fairness.wait(heavy, resume);
  vi.advanceTimersByTime(20_000);
  expect(resume).not.toHaveBeenCalled();
  // A quarter of the first ones is left.
  light.add(300);
  vi.advanceTimersByTime(200);
  expect(resume).toHaveBeenCalledOnce();
  expect([fairness.mustWait(heavy), fairness.mustWait(light)]).toEqual([false, true]);
});

test('who waits goes on when the spool has room again, and leaves no timer', () => {
  const spool = { level: 0.9, dropsOldest: false };
  const fairness = new Fairness(spool);
  const [heavy, light] = [fairness.add(), fairness.add()];
  heavy.add(1000);
  light.add(10);
  expect(fairness.mustWait(heavy)).toBe(true);
  const resume = vi.fn();
  fairness.wait(heavy, resume);
  spool.level = 0.4;
  vi.advanceTimersByTime(100);
  expect(resume).toHaveBeenCalledOnce();
  expect(vi.getTimerCount()).toBe(0);
});

test('a connection that has ended while it waited is not resumed', () => {
  const { fairness, loads: all } = loads(0.9, [1000, 10]);
  const [heavy] = all;
  if (heavy === undefined) throw new Error('no load');
  const resume = vi.fn();
  fairness.wait(heavy, resume);
  fairness.remove(heavy);
  vi.advanceTimersByTime(100_000);
  expect(resume).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});
