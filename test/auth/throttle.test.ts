import { expect, test } from 'vitest';
import { Throttle } from '../../src/auth/throttle.ts';

const [here, there] = ['10.0.0.1', '10.0.0.2'];

function fail(throttle: Throttle, times: number, user: string, address = here): (number | undefined)[] {
  return Array.from({ length: times }, () => throttle.take(user, address));
}

test('after five failures of a user from an address the sixth waits', () => {
  const throttle = new Throttle(() => 0);
  expect(fail(throttle, 5, 'ann')).toEqual(Array.from({ length: 5 }));
  expect(throttle.take('ann', here)).toBe(10_000);
});

test('a user is never slowed at another address by what happened at one', () => {
  const throttle = new Throttle(() => 0);
  fail(throttle, 100, 'ann');
  expect(throttle.take('ann', there)).toBeUndefined();
});

test('an address is slowed over all users', () => {
  const throttle = new Throttle(() => 0);
  const waits = Array.from({ length: 30 }, (_, index) => throttle.take(`user${index}`, here));
  expect(waits.filter((wait) => wait === undefined)).toHaveLength(20);
});

test('an IPv6 address stands for its /64', () => {
  const throttle = new Throttle(() => 0);
  fail(throttle, 5, 'ann', '2001:db8:0:1::1');
  expect(throttle.take('ann', '2001:db8:0:1:ffff::2')).toBeDefined();
  expect(throttle.take('ann', '2001:db8:0:2::1')).toBeUndefined();
});

test('time allows more, one at a time', () => {
  let now = 0;
  const throttle = new Throttle(() => now);
  fail(throttle, 5, 'ann');
  now = 10_000;
  expect(fail(throttle, 2, 'ann')).toEqual([undefined, 10_000]);
});

test('what succeeds takes nothing', () => {
  const throttle = new Throttle(() => 0);
  for (let n = 0; n < 100; n += 1) {
    expect(throttle.take('ann', here)).toBeUndefined();
    throttle.giveBack('ann', here);
  }
});
