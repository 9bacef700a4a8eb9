import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Registry, startRegistry } from '../support/registry.ts';

const digest = `sha256:${'a'.repeat(64)}`;
let registry: Registry;
beforeAll(async () => {
  registry = await startRegistry();
  await registry.image('team/web', 'v1');
});
afterAll(() => registry[Symbol.asyncDispose]());

test.each(['/v2/', '/v2'])('GET %s says that the API is there', async (path) => {
  const { status, headers, body } = await registry.call('GET', path);
  expect({ status, body: String(body) }).toEqual({ status: 200, body: '{}' });
  expect(headers['docker-distribution-api-version']).toBe('registry/2.0');
});

const unknown: readonly [method: string, path: string, status: number, allow?: string][] = [
  ['GET', '/v2/nothing', 404],
  ['GET', '/v2/team/web', 404],
  ['GET', '/v2/team/web/', 404],
  ['GET', '/v2/team/web/tags', 404],
  ['GET', '/v2/team/web/manifests/', 404],
  ['GET', '/v2/team/web/manifests/a/b', 404],
  ['GET', '/v2//tags/list', 404],
  ['POST', '/v2/', 405, 'GET, HEAD'],
  ['DELETE', '/v2/_catalog', 405, 'GET, HEAD'],
  ['PUT', '/v2/team/web/tags/list', 405, 'GET, HEAD'],
  ['POST', '/v2/team/web/manifests/v1', 405, 'DELETE, GET, HEAD, PUT'],
  ['PUT', `/v2/team/web/blobs/${digest}`, 405, 'DELETE, GET, HEAD'],
  ['GET', '/v2/team/web/blobs/uploads/', 405, 'POST'],
  ['POST', '/v2/team/web/blobs/uploads/some-id', 405, 'DELETE, GET, HEAD, PATCH, PUT'],
  ['OPTIONS', '/v2/_catalog', 405, 'GET, HEAD'],
  ['PROPFIND', '/v2/_catalog', 405, 'GET, HEAD'],
];

test.each(unknown)('%s %s is answered %i in the shape of an error', async (method, path, status, allow) => {
  const answer = await registry.call(method, path);
  expect(answer.status).toBe(status);
  expect(answer.code).toBe('UNSUPPORTED');
  expect(answer.headers.allow).toBe(allow);
  expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0');
});

test('paths beside /v2/ are left to others', async () => {
  expect((await registry.call('GET', '/v2x')).code).toBe('NOT_FOUND');
  expect((await registry.call('GET', '/V2/')).code).toBe('NOT_FOUND');
});

describe('a name that is none', () => {
  const names: Record<string, string> = {
    'in capitals': 'Team/web',
    'with a slash at the start': '/team/web',
    'with an empty part': 'team//web',
    'with a dot at the start': '.team/web',
    'that climbs': '../../etc',
    'that climbs in the middle': 'team/../web',
    'that climbs, encoded': '%2e%2e/web',
    'with an encoded slash': 'team%2Fweb',
    'with an encoded slash in small letters': 'team%2fweb',
    'with an encoded NUL': 'team/w%00b',
    'with broken encoding': 'team/%zz',
    'with overlong UTF-8': 'team/%c0%af',
    'with a line feed': 'team/web%0a',
    'with a backslash': 'team%5Cweb',
    'beginning with an underscore': '_shiplog/index',
    'of 256 characters': 'a'.repeat(256),
    'of 10,000 characters': 'a'.repeat(10_000),
    'of 5,000 parts': `a${'/a'.repeat(4999)}`,
    'of many blobs': `a${'/blobs/a'.repeat(1200)}`,
  };
  test.each(Object.entries(names))('%s is refused on every route', async (_, name) => {
    const requests = [
      ['GET', 'tags/list'],
      ['HEAD', 'manifests/v1'],
      ['GET', 'manifests/v1'],
      ['PUT', 'manifests/v1'],
      ['DELETE', 'manifests/v1'],
      ['GET', `blobs/${digest}`],
      ['DELETE', `blobs/${digest}`],
      ['POST', 'blobs/uploads/'],
      ['POST', `blobs/uploads/?digest=${digest}`],
      ['POST', `blobs/uploads/?mount=${digest}&from=team/web`],
      ['GET', 'blobs/uploads/id'],
      ['PATCH', 'blobs/uploads/id'],
      ['PUT', `blobs/uploads/id?digest=${digest}`],
      ['DELETE', 'blobs/uploads/id'],
    ] as const;
    for (const [method, rest] of requests) {
      const answer = await registry.call(method, `/v2/${name}/${rest}`);
      expect([method, rest, answer.status]).toEqual([method, rest, 400]);
      if (method !== 'HEAD') expect(answer.code).toBe('NAME_INVALID');
    }
  });
});

const references: readonly [reference: string, code: string][] = [
  ['..', 'TAG_INVALID'],
  ['.hidden', 'TAG_INVALID'],
  ['%2e%2e', 'TAG_INVALID'],
  ['v1%00', 'TAG_INVALID'],
  ['%zz', 'TAG_INVALID'],
  ['a'.repeat(129), 'TAG_INVALID'],
  ['sha256:abc', 'DIGEST_INVALID'],
  [`sha256:${'A'.repeat(64)}`, 'DIGEST_INVALID'],
  [`md5:${'a'.repeat(32)}`, 'DIGEST_INVALID'],
  [`sha256:${'a'.repeat(62)}..`, 'DIGEST_INVALID'],
  ['..:..', 'DIGEST_INVALID'],
];
test.each(references)('the reference %s is refused by all methods', async (reference, code) => {
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const body = method === 'PUT' ? { body: '{}' } : {};
    const answer = await registry.call(method, `/v2/team/web/manifests/${reference}`, body);
    expect([method, answer.status, answer.code]).toEqual([method, 400, code]);
  }
});

test('repositories may be named like parts of the API', async () => {
  for (const name of ['blobs/uploads', 'a/manifests/b', 'tags/list', 'a/blobs/b']) {
    const { digest } = await registry.image(name, 'latest');
    const answer = await registry.call('HEAD', `/v2/${name}/manifests/latest`);
    expect(answer.headers['docker-content-digest']).toBe(digest);
    expect((await registry.call('GET', `/v2/${name}/tags/list`)).body.toString()).toBe(
      JSON.stringify({ name, tags: ['latest'] }),
    );
  }
});

test('with delete turned off, blobs, manifests and tags stay, but an upload can be cancelled', async () => {
  await using registry = await startRegistry({ delete: false });
  const { digest } = await registry.image('app', 'v1');
  const blob = await registry.blob('app', 'bytes');
  for (const [path, allow] of [
    [`/v2/app/manifests/${digest}`, 'GET, HEAD, PUT'],
    ['/v2/app/manifests/v1', 'GET, HEAD, PUT'],
    [`/v2/app/blobs/${blob}`, 'GET, HEAD'],
  ] as const) {
    const answer = await registry.call('DELETE', path);
    expect([answer.status, answer.code, answer.headers.allow]).toEqual([405, 'UNSUPPORTED', allow]);
    expect((await registry.call('GET', path)).status).toBe(200);
  }
  const { headers } = await registry.call('POST', '/v2/app/blobs/uploads/');
  expect((await registry.call('DELETE', headers.location ?? '')).status).toBe(204);
});

describe('when the disk fails', () => {
  const fault = (code: string): Error => Object.assign(new Error(code), { code });

  test('what cannot be read is a 5xx, never "not found"', async () => {
    await using registry = await startRegistry();
    const { digest } = await registry.image('app', 'v1');
    const blob = await registry.blob('app', 'bytes');
    registry.disk.before(() => fault('EIO'));
    for (const path of [`manifests/${digest}`, 'manifests/v1', 'manifests/v2', `blobs/${blob}`, 'tags/list']) {
      expect([path, (await registry.call('GET', `/v2/app/${path}`)).status]).toEqual([path, 500]);
    }
  });

  test('a full disk is told in the status line, so that Docker does not try again', async () => {
    await using registry = await startRegistry();
    const { headers } = await registry.call('POST', '/v2/app/blobs/uploads/');
    registry.disk.before(({ op }) => (op === 'write' || op === 'writev' ? fault('ENOSPC') : undefined));
    const answer = await registry.call('PATCH', headers.location ?? '', { body: 'bytes' });
    expect([answer.status, answer.code, answer.reason]).toEqual([507, 'UNAVAILABLE', 'no space left on device']);
  });
});
