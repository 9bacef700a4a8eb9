import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { basic, codeOf, startTestService, type TestService, userLine } from '../support/service.ts';

const users = userLine('ann', 'pw') + userLine('bob', 'pw');
const rules = JSON.stringify([
  { repositories: 'public/**', users: ['anonymous'], actions: ['pull'] },
  { repositories: '**', users: ['*'], actions: ['pull', 'push', 'delete'] },
]);

function startService(env: Record<string, string> = {}): Promise<TestService> {
  return startTestService({ users, env: { SHIPLOG_AUTH_RULES: rules, ...env } });
}

async function tokenFor(service: TestService, headers: Record<string, string> = {}): Promise<string> {
  const answer = await service.send('/token', { headers });
  const body: { token: string } = JSON.parse(answer.text);
  return body.token;
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

test('where anonymous has rights, the registry asks for a token and nothing else, and says for what', async () => {
  await using service = await startService();
  const cases: readonly [method: string, path: string, scope: string | undefined][] = [
    ['GET', '/v2/', undefined],
    ['GET', '/v2', undefined],
    ['GET', '/v2/_catalog', 'registry:catalog:*'],
    ['GET', '/v2/team/web/manifests/1', 'repository:team/web:pull'],
    ['HEAD', '/v2/public/web/manifests/1', 'repository:public/web:pull'],
    ['PUT', '/v2/team/web/manifests/1', 'repository:team/web:pull,push'],
    ['DELETE', '/v2/team/web/manifests/1', 'repository:team/web:delete'],
    ['GET', '/v2/a/blobs/sha256:0', 'repository:a:pull'],
    ['POST', '/v2/a/b/c/blobs/uploads/', 'repository:a/b/c:pull,push'],
    ['POST', '/v2/a/b/c/blobs/uploads', 'repository:a/b/c:pull,push'],
    ['GET', '/v2/a/blobs/uploads/1', 'repository:a:pull,push'],
    ['DELETE', '/v2/a/blobs/uploads/1', 'repository:a:pull,push'],
    ['GET', '/v2/a/tags/list', 'repository:a:pull'],
    ['GET', '/v2/a/referrers/sha256:0', 'repository:a:pull'],
    ['GET', '/v2/manifests/manifests/blobs/manifests/1', 'repository:manifests/manifests/blobs:pull'],
    ['GET', '/v2/a"b/manifests/1', undefined],
    ['GET', '/v2/..%2Fx/manifests/1', undefined],
    ['GET', '/v2/nothing', undefined],
  ];
  for (const [method, path, scope] of cases) {
    const answer = await service.send(path, { method });
    const expected = `Bearer realm="http://127.0.0.1:${service.port}/token",service="shiplog"${scope === undefined ? '' : `,scope="${scope}"`}`;
    expect([path, answer.status, answer.headers['www-authenticate']]).toEqual([path, 401, expected]);
  }
});

test('a token that does not do is told apart from one that is missing', async () => {
  await using service = await startService();
  const challenge = async (headers: Record<string, string>): Promise<[number, string | undefined]> => {
    const answer = await service.send('/v2/team/web/manifests/1', { headers });
    return [answer.status, /error="(\w+)"/.exec(answer.headers['www-authenticate'] ?? '')?.[1]];
  };
  expect(await challenge({})).toEqual([401, undefined]);
  expect(await challenge(basic('ann', 'wrong'))).toEqual([401, undefined]);
  expect(await challenge(bearer('x.y.z'))).toEqual([401, 'invalid_token']);
  expect(await challenge(bearer(await tokenFor(service)))).toEqual([401, 'insufficient_scope']);
  expect(await challenge(basic('', ''))).toEqual([401, 'insufficient_scope']);
});

test('tokens are given to nobody and to a log-in with a password, and to no one else', async () => {
  await using service = await startService();
  const userToken = await tokenFor(service, basic('ann', 'pw'));
  const key = await readFile(join(service.data, 'state/cli-key'), 'utf8');
  const query = '/token?account=ann&client_id=docker&offline_token=true&service=shiplog';
  const cases: readonly [what: string, path: string, headers: Record<string, string>, status: number][] = [
    ['nobody', '/token', {}, 200],
    ['an empty user', '/token', basic('', ''), 200],
    ['a user', '/token', basic('ann', 'pw'), 200],
    ['a user, as Docker asks', query, basic('ann', 'pw'), 200],
    ['several scopes', '/token?scope=repository:a:pull&scope=repository:b:pull,push', {}, 200],
    ['scopes that are none', '/token?scope=&scope=%00&scope=x&service=other', {}, 200],
    ['a wrong password', '/token', basic('ann', 'wrong'), 401],
    ['an unknown user', '/token', basic('eve', 'pw'), 401],
    ['no base64', '/token', { authorization: 'Basic ***' }, 401],
    ['no scheme that is known', '/token', { authorization: 'Digest x' }, 401],
    [
      'a password by another scheme',
      '/token',
      { authorization: basic('ann', 'pw')['authorization']?.replace('Basic', 'Bearer') ?? '' },
      401,
    ],
    ['an empty field', '/token', { authorization: '' }, 401],
    ['a token: none buys another', '/token', bearer(userToken), 401],
    ['the key of the command line', '/token', bearer(key), 401],
  ];
  for (const [what, path, headers, status] of cases) {
    const answer = await service.send(path, { headers });
    expect(answer.status, what).toBe(status);
    if (status === 200) expect(answer.headers['cache-control'], what).toBe('no-store');
    else
      expect([codeOf(answer), answer.headers['www-authenticate']]).toEqual(['UNAUTHORIZED', 'Basic realm="shiplog"']);
  }
  const post = await service.send('/token', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'grant_type=password&username=ann&password=pw&service=shiplog&client_id=containerd',
  });
  expect([post.status, codeOf(post), post.headers['allow']]).toEqual([405, 'UNSUPPORTED', 'GET, HEAD']);
});

test('with a token of its own each gets its own rights', async () => {
  await using service = await startService();
  const [nobody, ann] = [await tokenFor(service), await tokenFor(service, basic('ann', 'pw'))];
  for (const [token, path, status] of [
    [nobody, '/v2/', 200],
    [nobody, '/v2/public/web/manifests/1', 404],
    [nobody, '/v2/team/web/manifests/1', 401],
    [ann, '/v2/', 200],
    [ann, '/v2/team/web/manifests/1', 404],
    [ann, '/api/logs', 200],
  ] as const) {
    expect((await service.send(path, { headers: bearer(token) })).status, path).toBe(status);
  }
});

test('a wrong password is refused, also where nobody would be let in', async () => {
  await using service = await startService();
  const path = '/v2/public/web/manifests/1';
  expect((await service.send(path, { headers: basic('', 'x') })).status).toBe(404);
  expect((await service.send(path, { headers: basic('ann', 'x') })).status).toBe(401);
  expect((await service.send(path, { headers: basic('eve', '') })).status).toBe(401);
});

test('failed log-ins at the token endpoint are slowed like any other', async () => {
  await using service = await startService();
  for (let n = 0; n < 5; n += 1) await service.send('/token', { headers: basic('ann', `${n}`) });
  expect((await service.send('/token', { headers: basic('ann', 'x') })).status).toBe(429);
  expect((await service.send('/v2/', { headers: basic('ann', 'y') })).status).toBe(429);
  expect((await service.send('/token', { headers: basic('bob', 'pw') })).status).toBe(200);
});

test('when a user is removed, their token is of no use; without the file, nobody’s is', async () => {
  await using service = await startService();
  const [nobody, ann, bob] = [
    await tokenFor(service),
    await tokenFor(service, basic('ann', 'pw')),
    await tokenFor(service, basic('bob', 'pw')),
  ];
  const statuses = (): Promise<number[]> =>
    Promise.all(
      [nobody, ann, bob].map(async (token) => (await service.send('/v2/', { headers: bearer(token) })).status),
    );
  // A failed log-in is a reason to look at the file.
  const look = (): Promise<unknown> => service.send('/v2/', { headers: basic('ann', 'wrong') });
  expect(await statuses()).toEqual([200, 200, 200]);
  await writeFile(join(service.data, 'htpasswd'), userLine('ann', 'new') + users.split('\n')[1]);
  await look();
  expect(await statuses()).toEqual([200, 401, 200]);
  await writeFile(join(service.data, 'htpasswd'), userLine('ann', 'new'));
  await look();
  expect(await statuses()).toEqual([200, 401, 401]);
  await rm(join(service.data, 'htpasswd'));
  await look();
  expect(await statuses()).toEqual([401, 401, 401]);
  expect((await service.send('/token')).status).toBe(401);
});

test('the key is the server’s own, for its owner alone and the same after a restart; or it is given, and shared', async () => {
  await using first = await startService();
  const file = join(first.data, 'state/token-key');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const token = await tokenFor(first, basic('ann', 'pw'));
  await using second = await startTestService({ data: first.data, env: { SHIPLOG_AUTH_RULES: rules } });
  expect((await second.send('/v2/', { headers: bearer(token) })).status).toBe(200);
  await using stranger = await startService();
  expect((await stranger.send('/v2/', { headers: bearer(token) })).status).toBe(401);

  const shared = { SHIPLOG_AUTH_TOKEN_KEY: 'k'.repeat(32) };
  await using one = await startService(shared);
  await using other = await startService(shared);
  const sharedToken = await tokenFor(one, basic('', ''));
  expect((await other.send('/v2/', { headers: bearer(sharedToken) })).status).toBe(200);
  await expect(stat(join(one.data, 'state/token-key'))).rejects.toThrow('ENOENT');
});

test('tokens are given where the client asked, as trusted proxies tell it', async () => {
  const proxied = { SHIPLOG_HTTP_TRUSTED_PROXIES: '127.0.0.1' };
  const configured = { SHIPLOG_HTTP_PUBLIC_URL: 'https://registry.corp/' };
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'registry.corp:8443' };
  const cases: readonly [env: Record<string, string>, headers: Record<string, string>, realm: string][] = [
    [{}, { host: 'box:5000' }, 'http://box:5000'],
    [{}, { host: '[::1]:5000' }, 'http://[::1]:5000'],
    [{}, { host: 'box', ...forwarded }, 'http://box'],
    [{}, { host: 'a" ,error="x' }, 'http://127.0.0.1:PORT'],
    [{}, { host: 'a/b@c' }, 'http://127.0.0.1:PORT'],
    [proxied, { host: 'box', ...forwarded }, 'https://registry.corp:8443'],
    [proxied, { host: 'box', 'x-forwarded-proto': 'https' }, 'https://box'],
    [proxied, { host: 'box', 'x-forwarded-proto': 'javascript' }, 'http://box'],
    [proxied, { host: 'box', 'x-forwarded-host': 'forged, proxy.corp' }, 'http://proxy.corp'],
    [proxied, { host: 'box', 'x-forwarded-host': 'a"b' }, 'http://box'],
    [{}, { host: 'box', forwarded: 'proto=https;host=registry.corp' }, 'http://box'],
    [
      proxied,
      { host: 'box', forwarded: 'for="[::1]:5" ; Proto=HTTPS;host="registry.corp:8443"' },
      'https://registry.corp:8443',
    ],
    [proxied, { host: 'box', forwarded: 'proto=https;host=forged, for=10.0.0.1;host=proxy.corp' }, 'http://proxy.corp'],
    [proxied, { host: 'box', forwarded: 'for="a, host=forged";proto=https' }, 'https://box'],
    [proxied, { host: 'box', forwarded: 'proto=https;host="registry.corp' }, 'http://box'],
    [proxied, { host: 'box', forwarded: 'proto=https;host=forged', 'x-forwarded-proto': 'http' }, 'http://box'],
    [configured, { host: 'box' }, 'https://registry.corp'],
  ];
  for (const [env, headers, realm] of cases) {
    await using service = await startService(env);
    const answer = await service.send('/v2/', { headers });
    const expected = `Bearer realm="${realm.replace('PORT', String(service.port))}/token",service="shiplog"`;
    expect(answer.headers['www-authenticate'], JSON.stringify(headers)).toBe(expected);
  }
});

test('while there are no users, nobody is asked for anything, and no token is given', async () => {
  await using service = await startTestService({ env: { SHIPLOG_AUTH_RULES: rules } });
  expect((await service.send('/v2/')).status).toBe(200);
  expect((await service.send('/v2/team/web/blobs/uploads/', { method: 'POST' })).status).toBe(202);
  expect((await service.send('/token')).status).toBe(401);
});

test('no token reaches the log, but whose it is', async () => {
  await using service = await startService();
  const token = await tokenFor(service, basic('ann', 'pw'));
  await service.send('/v2/', { headers: bearer(token) });
  await service.send('/v2/', { headers: bearer(`${token}x`) });
  expect(JSON.stringify(service.logged)).not.toContain(token.split('.')[2]);
  const requests = service.logged.filter(({ msg }) => msg === 'request');
  expect(requests.map(({ user }) => user)).toEqual(['ann', 'ann', undefined]);
});
