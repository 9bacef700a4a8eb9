import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import {
  type Answer,
  type Ask,
  basic,
  codeOf,
  startTestService,
  type TestService,
  userLine,
} from '../support/service.ts';

const users = ['ann', 'bob', 'ci', 'eve'].map((name) => userLine(name, 'pw')).join('');
const rules = [
  { repositories: 'public/**', users: ['anonymous'], actions: ['pull'] },
  { repositories: ['team-a/**', 'public/**'], users: ['ci'], actions: ['pull', 'push'] },
  { repositories: 'team-a/secret', users: ['bob'], actions: [] },
  { repositories: ['team-a/**', 'public/**'], users: ['bob'], actions: ['pull'] },
  { repositories: '**', users: ['ann'], actions: ['pull', 'push', 'delete'] },
  { repositories: 'public/**', users: ['*'], actions: ['pull'] },
];
const settings = (list: readonly object[] = rules): Record<string, string> => ({
  SHIPLOG_AUTH_RULES: JSON.stringify(list),
});
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const config = '{}';
const layer = 'layer';
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: manifestType,
  config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(Buffer.from(config)), size: 2 },
  layers: [
    { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(Buffer.from(layer)), size: layer.length },
  ],
});
const manifestDigest = digestOf(Buffer.from(manifest));
const blobDigest = digestOf(Buffer.from(layer));

type Caller = 'nobody' | 'anonymous' | 'empty user' | 'ann' | 'bob' | 'ci' | 'eve' | 'cli-key';

async function tokenFor(service: TestService, ask: Ask = {}): Promise<string> {
  const { token }: { token: string } = JSON.parse((await service.send('/token?service=shiplog', ask)).text);
  return token;
}

/** An image `v1` in a repository, by a user who may do everything. */
async function push(service: TestService, name: string, headers: Record<string, string>): Promise<void> {
  for (const body of [config, layer]) {
    const url = `/v2/${name}/blobs/uploads/?digest=${digestOf(Buffer.from(body))}`;
    expect((await service.send(url, { method: 'POST', headers, body })).status).toBe(201);
  }
  const put = { method: 'PUT', headers: { ...headers, 'content-type': manifestType }, body: manifest };
  expect((await service.send(`/v2/${name}/manifests/v1`, put)).status).toBe(201);
}

describe('with rules', () => {
  let service: TestService;
  let headersOf: Record<Caller, Record<string, string>>;
  beforeAll(async () => {
    service = await startTestService({ users, env: settings() });
    headersOf = {
      nobody: {},
      anonymous: { authorization: `Bearer ${await tokenFor(service)}` },
      'empty user': basic('', ''),
      ann: basic('ann', 'pw'),
      // The same rights by a token.
      bob: { authorization: `Bearer ${await tokenFor(service, { headers: basic('bob', 'pw') })}` },
      ci: basic('ci', 'pw'),
      eve: basic('eve', 'pw'),
      'cli-key': { authorization: `Bearer ${await readFile(join(service.data, 'state/cli-key'), 'utf8')}` },
    };
    for (const name of ['public/base', 'team-a/web', 'team-a/secret', 'team-b/app']) {
      await push(service, name, headersOf.ann);
    }
  });
  afterAll(() => service[Symbol.asyncDispose]());

  const ask = (caller: Caller, method: string, path: string, more: Ask = {}): Promise<Answer> =>
    service.send(path, { method, ...more, headers: { ...headersOf[caller], ...more.headers } });

  const callers: readonly Caller[] = ['nobody', 'anonymous', 'empty user', 'bob', 'ci', 'eve', 'ann', 'cli-key'];
  const table: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
    //                 nobody anonymous empty bob  ci   eve  ann  cli-key
    'public/base': {
      pull: [401, 200, 200, 200, 200, 200, 200, 200],
      push: [401, 401, 401, 403, 202, 403, 202, 202],
      delete: [401, 401, 401, 403, 403, 403, 404, 404],
    },
    'team-a/web': {
      pull: [401, 401, 401, 200, 200, 403, 200, 200],
      push: [401, 401, 401, 403, 202, 403, 202, 202],
      delete: [401, 401, 401, 403, 403, 403, 404, 404],
    },
    'team-a/secret': {
      pull: [401, 401, 401, 403, 200, 403, 200, 200],
      push: [401, 401, 401, 403, 202, 403, 202, 202],
      delete: [401, 401, 401, 403, 403, 403, 404, 404],
    },
    'team-b/app': {
      pull: [401, 401, 401, 403, 403, 403, 200, 200],
      push: [401, 401, 401, 403, 403, 403, 202, 202],
      delete: [401, 401, 401, 403, 403, 403, 404, 404],
    },
  };
  const examples: Readonly<Record<string, (name: string) => [method: string, path: string]>> = {
    pull: (name) => ['HEAD', `/v2/${name}/manifests/v1`],
    push: (name) => ['POST', `/v2/${name}/blobs/uploads/`],
    delete: (name) => ['DELETE', `/v2/${name}/manifests/none`],
  };
  for (const [name, actions] of Object.entries(table)) {
    for (const [action, statuses] of Object.entries(actions)) {
      test(`who may ${action} ${name}`, async () => {
        const found: [Caller, number][] = [];
        for (const caller of callers) {
          const [method, path] = examples[action]?.(name) ?? ['', ''];
          found.push([caller, (await ask(caller, method, path)).status]);
        }
        expect(found).toEqual(callers.map((caller, index) => [caller, statuses[index]]));
      });
    }
  }

  test('who lacks the right is told the same, whether or not there is such a repository, at every end-point', async () => {
    const { headers } = await ask('ann', 'POST', '/v2/team-b/app/blobs/uploads/');
    const session = headers['location']?.split('/').at(-1) ?? '';
    const endpoints = [
      ...['GET', 'HEAD', 'PUT', 'DELETE', 'POST', 'PATCH', 'OPTIONS'].flatMap((method) => [
        [method, 'manifests/v1'],
        [method, 'manifests/latest'],
        [method, `manifests/${manifestDigest}`],
        [method, `manifests/${manifestDigest}?tag=latest`],
        [method, `blobs/${blobDigest}`],
        [method, `blobs/uploads/${session}`],
        [method, `blobs/uploads/${session}?digest=${blobDigest}`],
        [method, 'tags/list'],
        [method, 'tags/list?n=0'],
        [method, `referrers/${manifestDigest}`],
      ]),
      ['POST', 'blobs/uploads/'],
      ['POST', `blobs/uploads/?digest=${blobDigest}`],
      ['POST', `blobs/uploads/?mount=${blobDigest}&from=public/base`],
      ['POST', `blobs/uploads/?mount=${blobDigest}`],
    ] as const;
    for (const caller of ['nobody', 'anonymous', 'eve'] as const) {
      for (const [method, rest] of endpoints) {
        const told = await Promise.all(
          ['team-b/app', 'team-b/not'].map(async (name) => {
            const { status, headers, text } = await ask(caller, method, `/v2/${name}/${rest}`);
            const { date: _, ...others } = headers;
            return JSON.stringify({ status, others, text }).replaceAll(name, 'NAME');
          }),
        );
        const what = `${caller}: ${method} ${rest}`;
        expect(told[0], what).toBe(told[1]);
        // 405: the method is not for this path, whatever the repository.
        expect(told[0], what).toMatch(caller === 'eve' ? /"status":40[35]/ : /"status":40[15]/);
      }
    }
  });

  test('a refusal says who may not do what', async () => {
    const answer = await ask('bob', 'POST', '/v2/team-a/web/blobs/uploads/');
    expect([codeOf(answer), answer.headers['www-authenticate']]).toEqual(['DENIED', undefined]);
    expect(answer.text).toContain('bob has no right to push to team-a/web');
  });

  test('to put a tag that is there, latest too, is to push', async () => {
    for (const reference of ['v1', 'latest', manifestDigest]) {
      const put = { body: manifest, headers: { 'content-type': manifestType } };
      expect((await ask('bob', 'PUT', `/v2/team-a/web/manifests/${reference}`, put)).status, reference).toBe(403);
      expect((await ask('ci', 'PUT', `/v2/team-a/web/manifests/${reference}`, put)).status, reference).toBe(201);
    }
  });

  test('a digest opens nothing in a repository that the caller may use, if it lies only in one that they may not', async () => {
    const body = 'of team-b alone';
    const digest = digestOf(Buffer.from(body));
    await ask('ann', 'POST', `/v2/team-b/app/blobs/uploads/?digest=${digest}`, { body });
    expect((await ask('ci', 'HEAD', `/v2/team-a/web/blobs/${digest}`)).status).toBe(404);
    for (const from of ['&from=team-b/app', '&from=team-b/not', '']) {
      const answer = await ask('ci', 'POST', `/v2/team-a/web/blobs/uploads/?mount=${digest}${from}`);
      expect(answer.status, from).toBe(202);
    }
    expect((await ask('ci', 'HEAD', `/v2/team-a/web/blobs/${digest}`)).status).toBe(404);
    const mounted = await ask('ann', 'POST', `/v2/team-a/web/blobs/uploads/?mount=${digest}&from=team-b/app`);
    expect(mounted.status).toBe(201);
  });

  test('an upload’s id is of use in its own repository alone', async () => {
    const { headers } = await ask('ann', 'POST', '/v2/team-b/app/blobs/uploads/');
    const id = headers['location']?.split('/').at(-1) ?? '';
    for (const [method, query, body] of [
      ['GET', '', ''],
      ['PATCH', '', layer],
      ['PUT', `?digest=${blobDigest}`, layer],
      ['DELETE', '', ''],
    ] as const) {
      const answer = await ask('ci', method, `/v2/team-a/web/blobs/uploads/${id}${query}`, { body });
      expect([method, answer.status, codeOf(answer)]).toEqual([method, 404, 'BLOB_UPLOAD_UNKNOWN']);
    }
    expect((await ask('ann', 'GET', headers['location'] ?? '')).status).toBe(204);
  });

  test('the catalog lists what the caller may pull', async () => {
    const lists: readonly [Caller, string[]][] = [
      ['anonymous', ['public/base']],
      ['eve', ['public/base']],
      ['bob', ['public/base', 'team-a/web']],
      ['ann', ['public/base', 'team-a/secret', 'team-a/web', 'team-b/app']],
    ];
    for (const [caller, repositories] of lists) {
      expect(JSON.parse((await ask(caller, 'GET', '/v2/_catalog')).text), caller).toEqual({ repositories });
    }
    expect((await ask('nobody', 'GET', '/v2/_catalog')).status).toBe(401);
  });

  test('anonymous gets no further than the registry', async () => {
    for (const caller of ['nobody', 'anonymous', 'empty user'] as const) {
      for (const [method, path] of [
        ['GET', '/api/logs'],
        ['POST', '/logs'],
        ['GET', '/metrics'],
        ['GET', '/nope'],
      ] as const) {
        const answer = await ask(caller, method, path, { body: method === 'POST' ? '{"message":"x"}' : '' });
        expect([path, answer.status, answer.headers['www-authenticate']]).toEqual([path, 401, 'Basic realm="shiplog"']);
      }
    }
    expect(service.pipeline.blocks).toEqual([]);
  });
});

test('logs and metrics are for those who are named, else for every user; anyone may write', async () => {
  await using all = await startTestService({ users });
  await using few = await startTestService({ users, env: { SHIPLOG_AUTH_LOG_READERS: 'ann,bob' } });
  for (const path of ['/api/logs', '/metrics']) {
    for (const [service, user, status] of [
      [all, 'ann', 200],
      [all, 'eve', 200],
      [few, 'ann', 200],
      [few, 'bob', 200],
      [few, 'eve', 403],
    ] as const) {
      expect((await service.send(path, { headers: basic(user, 'pw') })).status, `${path} ${user}`).toBe(status);
    }
  }
  const body = {
    method: 'POST',
    headers: { ...basic('eve', 'pw'), 'content-type': 'application/json' },
    body: '{"message":"x"}',
  };
  expect((await few.send('/logs', body)).status).toBe(200);
  expect((await few.send('/v2/', { headers: basic('eve', 'pw') })).status).toBe(200);
});

test('without rules every user may do everything, and anonymous nothing', async () => {
  await using service = await startTestService({ users });
  await push(service, 'app', basic('eve', 'pw'));
  expect((await service.send('/v2/app/manifests/v1', { method: 'DELETE', headers: basic('bob', 'pw') })).status).toBe(
    202,
  );
  for (const ask of [{}, { headers: basic('', '') }]) {
    for (const path of ['/v2/', '/v2/app/manifests/v1', '/v2/_catalog', '/token']) {
      const answer = await service.send(path, ask);
      expect([path, answer.status, answer.headers['www-authenticate']]).toEqual([path, 401, 'Basic realm="shiplog"']);
    }
  }
});

test('rules count from the first user on: until then everyone on this machine may do everything', async () => {
  await using service = await startTestService({ env: settings([]) });
  await push(service, 'app', {});
  await using ruled = await startTestService({ env: settings() });
  await push(ruled, 'app', {});
  await writeFile(join(ruled.data, 'htpasswd'), users);
  expect((await ruled.send('/v2/app/manifests/v1')).status).toBe(401);
  expect((await ruled.send('/v2/app/manifests/v1', { headers: basic('eve', 'pw') })).status).toBe(403);
});
