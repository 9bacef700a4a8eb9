import { expect, test } from 'vitest';
import type { Comparer } from '../../src/auth/comparer.ts';
import { BusyError } from '../../src/auth/comparer.ts';
import { Logins } from '../../src/auth/logins.ts';
import type { Access, UserFile } from '../../src/auth/user-file.ts';

const hashOf = (password: string, cost = '10'): string => `$2y$${cost}$${password.padEnd(53, '.')}`;

/** Users in memory; a "hash" ends in the password. */
class World implements UserFile, Comparer {
  readonly file = 'htpasswd';
  readonly broken = undefined;
  access: Access;
  /** What the next look at the file finds. */
  next: Access | undefined;
  compared: string[] = [];
  now = 0;
  busy = false;

  constructor(users: Record<string, string>) {
    this.access = { mode: 'users', users: new Map(Object.entries(users)) };
  }

  async refresh(): Promise<void> {
    this.access = this.next ?? this.access;
  }

  async compare(password: string, hash: string): Promise<boolean> {
    await Promise.resolve();
    if (this.busy) throw new BusyError('busy');
    this.compared.push(hash);
    return hash.slice(7) === password.padEnd(53, '.');
  }

  [Symbol.dispose](): void {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

function setUp(users: Record<string, string> = { ann: hashOf('pw') }) {
  const world = new World(users);
  const logins = new Logins({ file: world, comparer: world, now: () => world.now });
  const verify = async (user: string, password: string, address = '10.0.0.1'): Promise<string> =>
    (await logins.verify(user, password, address)).status;
  return { world, verify, logins };
}

test('a verified password is compared once in five minutes', async () => {
  const { world, verify } = setUp();
  expect(await verify('ann', 'pw')).toBe('accepted');
  world.now = 299_000;
  expect(await verify('ann', 'pw')).toBe('accepted');
  expect(world.compared).toHaveLength(1);
  world.now = 301_000;
  expect(await verify('ann', 'pw')).toBe('accepted');
  expect(world.compared).toHaveLength(2);
});

test('a verified password is forgotten when its line changes, or goes', async () => {
  const { world, verify } = setUp();
  await verify('ann', 'pw');
  world.access = { mode: 'users', users: new Map([['ann', hashOf('new')]]) };
  expect(await verify('ann', 'pw')).toBe('refused');
  world.access = { mode: 'users', users: new Map([['ann', hashOf('pw')]]) };
  expect(await verify('ann', 'pw')).toBe('accepted');
  world.access = { mode: 'closed' };
  expect(await verify('ann', 'pw')).toBe('refused');
});

test('what is remembered is for one user and one password', async () => {
  const { world, verify } = setUp({ ann: hashOf('pw'), 'ann:p': hashOf('w') });
  await verify('ann', 'pw');
  expect(await verify('an', 'npw')).toBe('refused');
  expect(await verify('ann', 'pw2')).toBe('refused');
  expect(world.compared.length).toBeGreaterThan(1);
});

test('equal log-ins at the same time share one comparison', async () => {
  const { world, verify } = setUp();
  const all = await Promise.all(Array.from({ length: 50 }, () => verify('ann', 'pw')));
  expect(new Set(all)).toEqual(new Set(['accepted']));
  expect(world.compared).toHaveLength(1);
});

test('an unknown user costs one comparison, at the cost of the file, and is never accepted', async () => {
  const { world, verify } = setUp({ ann: hashOf('pw', '11') });
  expect(await verify('eve', '')).toBe('refused');
  expect(await verify('eve', '.'.repeat(53))).toBe('refused');
  expect(await verify('ann', 'wrong')).toBe('refused');
  expect(world.compared.map((hash) => hash.slice(0, 7))).toEqual(['$2b$11$', '$2b$11$', '$2y$11$']);
});

test('the file is looked at when a log-in fails: a new user, or a new password, works at once', async () => {
  const { world, verify } = setUp();
  world.next = {
    mode: 'users',
    users: new Map([
      ['eve', hashOf('e')],
      ['ann', hashOf('new')],
    ]),
  };
  expect(await verify('eve', 'e')).toBe('accepted');
  world.access = { mode: 'users', users: new Map([['ann', hashOf('pw')]]) };
  expect(await verify('ann', 'new')).toBe('accepted');
});

test('failures of an address do not keep out who was verified there, nor the same user elsewhere', async () => {
  const { verify, logins } = setUp();
  await verify('ann', 'pw');
  for (let n = 0; n < 10; n += 1) await verify('ann', `wrong${n}`);
  expect(await logins.verify('ann', 'wrong', '10.0.0.1')).toEqual({ status: 'wait', retryAfter: 10_000 });
  expect(await verify('ann', 'pw')).toBe('accepted');
  expect(await verify('ann', 'wrong', '10.0.0.2')).toBe('refused');
});

test('a slowed log-in is not compared', async () => {
  const { world, verify } = setUp();
  for (let n = 0; n < 100; n += 1) await verify('ann', `wrong${n}`);
  expect(world.compared).toHaveLength(5);
});

test('where too many comparisons wait, the log-in is to wait, and is no failure', async () => {
  const { world, verify } = setUp();
  world.busy = true;
  for (let n = 0; n < 10; n += 1) expect(await verify('ann', `pw`)).toBe('wait');
  world.busy = false;
  expect(await verify('ann', 'pw')).toBe('accepted');
});

test('the same wrong password is one try, however often it is sent; another is another', async () => {
  const { world, verify } = setUp();
  for (let n = 0; n < 50; n += 1) expect(await verify('ann', 'wrong')).toBe('refused');
  expect(await verify('nobody', 'wrong')).toBe('refused');
  expect(await verify('nobody', 'wrong')).toBe('refused');
  expect(world.compared).toHaveLength(2);
  for (let n = 0; n < 4; n += 1) expect(await verify('ann', `wrong ${n}`)).toBe('refused');
  expect(await verify('ann', 'wrong 9')).toBe('wait');
  // It is known to be wrong, and says so.
  expect(await verify('ann', 'wrong')).toBe('refused');
});

test('a password that was wrong is right as soon as the file says so', async () => {
  const { world, verify } = setUp();
  for (const user of ['ann', 'bob']) expect(await verify(user, 'new')).toBe('refused');
  world.next = {
    mode: 'users',
    users: new Map([
      ['ann', hashOf('new')],
      ['bob', hashOf('new')],
    ]),
  };
  for (const user of ['ann', 'bob']) expect(await verify(user, 'new')).toBe('accepted');
});

test('a wrong password is judged again after a minute', async () => {
  const { world, verify } = setUp();
  await verify('ann', 'wrong');
  world.now = 61_000;
  await verify('ann', 'wrong');
  expect(world.compared).toHaveLength(2);
});
