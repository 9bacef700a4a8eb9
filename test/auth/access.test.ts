import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isLoopback } from '../../src/auth/loopback.ts';
import { StartError } from '../../src/start-error.ts';
import { type Ask, basic, codeOf, startTestService, userLine } from '../support/service.ts';

const users = userLine('ann', 'pw') + userLine('bob', 'with:colon');

describe('with users', () => {
  const cases: readonly [what: string, path: string, headers: Record<string, string>, status: number][] = [
    ['nobody', '/v2/', {}, 401],
    ['nobody, elsewhere', '/api/logs', {}, 401],
    ['nobody, at a path that there is not', '/nope', {}, 401],
    ['nobody asks for health', '/health/live', {}, 200],
    ['nobody asks whether it is ready', '/health/ready', {}, 200],
    ['nobody asks for metrics', '/metrics', {}, 401],
    ['a user asks for metrics', '/metrics', basic('ann', 'pw'), 200],
    ['a user', '/v2/', basic('ann', 'pw'), 200],
    ['a password with a colon', '/v2/', basic('bob', 'with:colon'), 200],
    [
      'a scheme in other letters',
      '/v2/',
      { authorization: basic('ann', 'pw')['authorization']?.replace('Basic', 'bASIC') ?? '' },
      200,
    ],
    ['a wrong password', '/v2/', basic('ann', 'pW'), 401],
    ['an unknown user', '/v2/', basic('eve', 'pw'), 401],
    ['an empty user', '/v2/', basic('', ''), 401],
    ['no colon', '/v2/', { authorization: `Basic ${Buffer.from('ann').toString('base64')}` }, 401],
    ['no base64', '/v2/', { authorization: 'Basic ***' }, 401],
    ['a key that is none', '/v2/', { authorization: `Bearer ${'0'.repeat(64)}` }, 401],
    ['a key that is too short', '/v2/', { authorization: 'Bearer 0' }, 401],
  ];
  test('who gets in', async () => {
    await using service = await startTestService({ users });
    for (const [what, path, headers, status] of cases) {
      const answer = await service.send(path, { headers });
      expect(answer.status, what).toBe(status);
      if (status !== 401) continue;
      expect(answer.headers['www-authenticate'], what).toBe('Basic realm="shiplog"');
      expect(codeOf(answer), what).toBe('UNAUTHORIZED');
    }
  });

  test('the key that the server left is let in; it is for its owner alone, and stays the same', async () => {
    await using first = await startTestService({ users });
    const file = join(first.data, 'state/cli-key');
    const key = await readFile(file, 'utf8');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const headers = { authorization: `Bearer ${key}` };
    expect((await first.send('/v2/', { headers })).status).toBe(200);
    await using second = await startTestService({ data: first.data });
    expect((await second.send('/v2/', { headers })).status).toBe(200);
  });

  test('too many failures are 429, with the time to wait; health still answers, and another user gets in', async () => {
    await using service = await startTestService({ users });
    for (let n = 0; n < 5; n += 1) await service.send('/v2/', { headers: basic('ann', `${n}`) });
    const answer = await service.send('/v2/', { headers: basic('ann', 'x') });
    expect([answer.status, codeOf(answer)]).toEqual([429, 'TOOMANYREQUESTS']);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect((await service.send('/v2/', { headers: basic('bob', 'with:colon') })).status).toBe(200);
  });

  test('once there were users, nobody gets in without the file, also not after a restart', async () => {
    await using first = await startTestService({ users });
    await first.send('/v2/', { headers: basic('ann', 'pw') });
    await rm(join(first.data, 'htpasswd'));
    // A failed log-in is a reason to look at the file.
    await first.send('/v2/', { headers: basic('ann', 'wrong') });
    expect((await first.send('/v2/', { headers: basic('ann', 'pw') })).status).toBe(401);
    await using second = await startTestService({ data: first.data });
    expect((await second.send('/v2/')).status).toBe(401);
  });
});

describe('without users', () => {
  test('everyone on this machine may do everything, and nobody from elsewhere', async () => {
    await using service = await startTestService();
    const cases: readonly [Ask['headers'], number][] = [
      [{}, 200],
      [basic('anyone', 'x'), 200],
      [{ host: `localhost:${service.port}` }, 200],
      [{ host: '[::1]' }, 200],
      [{ 'x-forwarded-for': '127.0.0.1' }, 403],
      [{ 'x-forwarded-proto': 'https' }, 403],
      [{ forwarded: 'for=127.0.0.1' }, 403],
      [{ host: 'registry.corp' }, 403],
      [{ host: 'localhost.evil.example' }, 403],
      [{ origin: 'http://localhost:3000' }, 200],
      [{ origin: 'https://evil.example' }, 403],
      [{ origin: 'null' }, 403],
    ];
    for (const [headers, status] of cases) {
      const answer = await service.send('/v2/', { headers: headers ?? {} });
      expect(answer.status, JSON.stringify(headers)).toBe(status);
      if (status === 403) expect(answer.text).toContain('npx shiplog htpasswd');
    }
  });

  test('the first user counts from the next request on', async () => {
    await using service = await startTestService();
    expect((await service.send('/v2/')).status).toBe(200);
    await writeFile(join(service.data, 'htpasswd'), users);
    expect((await service.send('/v2/', { headers: basic('ann', 'wrong') })).status).toBe(401);
    expect((await service.send('/v2/', { headers: basic('ann', 'pw') })).status).toBe(200);
  });

  test('a listener off the loopback is an error that names the command', async () => {
    const start = startTestService({ env: { SHIPLOG_HTTP_LISTEN: '0.0.0.0:0' } });
    await expect(start).rejects.toThrow(StartError);
    await expect(start).rejects.toThrow(/http\.listen.*npx shiplog htpasswd/);
  });
});

test('a file without a usable line, where there never were users, is an error at the start, not a server open to all', async () => {
  const start = startTestService({ users: 'ann:$apr1$x$y' });
  await expect(start).rejects.toThrow(StartError);
  await expect(start).rejects.toThrow(
    /auth\.htpasswd is .*no line with a bcrypt hash; make its users with: npx shiplog/,
  );
});

test('with users it may listen off the loopback', async () => {
  await using service = await startTestService({ users, env: { SHIPLOG_HTTP_LISTEN: '0.0.0.0:0' } });
  expect(
    (await service.send('/v2/', { headers: { ...basic('ann', 'pw'), 'x-forwarded-for': '1.2.3.4' } })).status,
  ).toBe(200);
});

test.each([
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['::1', true],
  ['localhost', true],
  ['registry.localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['10.0.0.1', false],
  ['localhost.example', false],
  ['', false],
])('%s is the loopback: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

test('no password, no key and no header field reaches the log', async () => {
  await using service = await startTestService({ users });
  await service.send('/v2/?token=s3cret', { headers: { ...basic('ann', 'hunter2'), cookie: 's3cret' } });
  await service.send('/v2/', { headers: basic('ann', 'pw') });
  const key = await readFile(join(service.data, 'state/cli-key'), 'utf8');
  await service.send('/v2/', { headers: { authorization: `Bearer ${key}` } });
  const text = JSON.stringify(service.logged);
  for (const secret of ['hunter2', 's3cret', key, basic('ann', 'pw')['authorization'] ?? '']) {
    expect(text).not.toContain(secret);
  }
  const requests = service.logged.filter(({ msg }) => msg === 'request');
  expect(requests.map(({ user, status }) => [user, status])).toEqual([
    [undefined, 401],
    ['ann', 200],
    ['cli-key', 200],
  ]);
});
