import { expect, test } from 'vitest';
import { DeliveryWindow } from '../../ingest/delivery-window.ts';

/** A round: as many attempts as the window has places, which take so long each. */
function round(window: DeliveryWindow, ms: number): void {
  const attempts = Array.from({ length: window.size }, () => window.begin());
  for (const attempt of attempts) window.taken(attempt, ms);
}

test('it grows by one a round while deliveries take no longer, up to its bound', () => {
  const window = new DeliveryWindow(4);
  const sizes = Array.from({ length: 30 }, () => (round(window, 100), window.size));
  expect(sizes.slice(0, 2)).toEqual([2, 2]);
  expect(sizes.at(-1)).toBe(4);
  expect(Math.max(...sizes)).toBe(4);
  sizes.reduce((before, size) => (expect(size - before).toBeLessThanOrEqual(1), size));
});

test('it stays where more at once take longer, each', () => {
  const window = new DeliveryWindow(8);
  // A server that does one after another.
  for (let n = 0; n < 200; n += 1) round(window, 100 * window.size);
  expect(window.size).toBeLessThanOrEqual(3);
});

test('it does not grow by deliveries that were small, or that left places free', () => {
  const window = new DeliveryWindow(8);
  for (let n = 0; n < 10; n += 1) window.taken(window.begin(), undefined);
  expect(window.size).toBe(1);
  round(window, 100);
  for (let n = 0; n < 10; n += 1) window.taken(window.begin(), 100);
  expect(window.size).toBe(2);
});

test('it halves by an overload, once for all that met it together, and never below one', () => {
  const window = new DeliveryWindow(8);
  for (let n = 0; n < 100; n += 1) round(window, 100);
  const attempts = Array.from({ length: 8 }, () => window.begin());
  for (const attempt of attempts) window.overloaded(attempt);
  expect(window.size).toBe(4);
  for (let n = 0; n < 10; n += 1) window.overloaded(window.begin());
  expect(window.size).toBe(1);
  expect(window.underWay).toBe(0);
});
