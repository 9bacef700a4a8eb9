import { hashSync } from 'bcryptjs';
import { expect, test } from 'vitest';
import { BusyError, createComparer } from '../../src/auth/comparer.ts';

const hash = hashSync('pw', 4);

test('passwords are compared in other threads, in the versions that Apache writes too', async () => {
  await using comparer = createComparer();
  const answers = await Promise.all([
    comparer.compare('pw', hash),
    comparer.compare('other', hash),
    comparer.compare('pw', hash.replace('$2b$', '$2y$')),
    comparer.compare('pw', hash.replace('$2b$', '$2a$')),
    comparer.compare('x', `$2b$04$${'.'.repeat(53)}`),
  ]);
  expect(answers).toEqual([true, false, true, true, false]);
});

test('the queue is bounded', async () => {
  await using comparer = createComparer({ queue: 3 });
  const all = await Promise.allSettled(Array.from({ length: 50 }, () => comparer.compare('pw', hash)));
  const refused = all.filter((one) => one.status === 'rejected');
  expect(refused.length).toBeGreaterThan(40);
  expect(refused.every(({ reason }) => reason instanceof BusyError)).toBe(true);
  expect(await comparer.compare('pw', hash)).toBe(true);
});

test('what waits when it ends is refused', async () => {
  const comparer = createComparer();
  const waiting = Promise.allSettled(Array.from({ length: 10 }, () => comparer.compare('pw', hash)));
  await comparer[Symbol.asyncDispose]();
  expect((await waiting).map(({ status }) => status)).toContain('rejected');
  await expect(comparer.compare('pw', hash)).rejects.toThrow(BusyError);
});
