import { expect, test } from 'vitest';
import { parallel } from '../../storage/parallel.ts';

test('results have the order of the items, however long each takes', async () => {
  const gates = [1, 2, 3].map(() => Promise.withResolvers<void>());
  const results = parallel(gates, 3, async (gate) => {
    await gate.promise;
    return gates.indexOf(gate);
  });
  for (const gate of gates.toReversed()) gate.resolve();
  expect(await results).toEqual([0, 1, 2]);
});

test('when one fails, no more is begun, and none of it goes on after that was told', async () => {
  const slow = Promise.withResolvers<void>();
  const done: string[] = [];
  const work = parallel(['fails', 'slow', 'late'], 2, async (item) => {
    if (item === 'fails') throw new Error(item);
    await slow.promise;
    done.push(item);
  });
  const told = work.then(
    () => [],
    () => [...done],
  );
  setImmediate(() => slow.resolve());
  expect(await told).toEqual(['slow']);
  expect(done).toEqual(['slow']);
});
