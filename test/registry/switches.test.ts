import { afterEach, expect, test, vi } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

afterEach(() => {
  vi.useRealTimers();
});

const layer = digestOf(Buffer.from('layer'));

/** Every request that would change something, with an upload session's path. */
function writes(session: string, manifest: string): [method: string, path: string][] {
  return [
    ['POST', '/v2/app/blobs/uploads/'],
    ['POST', `/v2/app/blobs/uploads/?digest=${layer}`],
    ['POST', `/v2/other/blobs/uploads/?mount=${layer}&from=app`],
    ['PATCH', session],
    ['PUT', `${session}?digest=${layer}`],
    ['DELETE', session],
    ['PUT', '/v2/app/manifests/v2'],
    ['DELETE', '/v2/app/manifests/v1'],
    ['DELETE', `/v2/app/manifests/${manifest}`],
    ['DELETE', `/v2/app/blobs/${layer}`],
  ];
}

/** The message of an answer's error. */
function message({ body }: { body: Buffer }): string {
  return JSON.parse(String(body)).errors[0].message;
}

/** An image's digest, and the path of an upload session. */
async function fill(registry: Registry): Promise<{ manifest: string; session: string }> {
  const { digest } = await registry.image('app', 'v1');
  const { headers } = await registry.call('POST', '/v2/app/blobs/uploads/');
  return { manifest: digest, session: headers.location ?? '' };
}

test('read_only answers every write with a 405 that names the key, and reads as before', async () => {
  await using registry = await startRegistry({ readOnly: true });
  const { uploads, manifests } = registry.store;
  const { id } = await uploads.create('app');
  await uploads.commit(
    'app',
    id,
    layer,
    (async function* () {
      yield Buffer.from('layer');
    })(),
  );
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: layer, size: 5 },
      layers: [],
    }),
  );
  const { digest: manifest } = await manifests.put('app', 'v1', bytes);
  const session = `/v2/app/blobs/uploads/${(await uploads.create('app')).id}`;
  const before = registry.disk.files();
  for (const [method, path] of writes(session, manifest)) {
    const answer = await registry.call(method, path, method === 'PUT' || method === 'PATCH' ? { body: 'layer' } : {});
    expect([method, path, answer.status, answer.code]).toEqual([method, path, 405, 'UNSUPPORTED']);
    expect(message(answer)).toContain('storage.read_only');
    expect(answer.headers.allow).toMatch(/^(?:GET, HEAD)?$/);
  }
  expect(registry.disk.files()).toEqual(before);
  for (const path of ['/v2/', '/v2/_catalog', '/v2/app/tags/list', '/v2/app/manifests/v1', `/v2/app/blobs/${layer}`]) {
    expect((await registry.call('GET', path)).status).toBe(200);
  }
  expect((await registry.call('GET', session)).status).toBe(204);
  expect((await registry.call('POST', '/v2/nothing')).status).toBe(404);
});

test('a delete that is refused by delete: false names the key, and no other does', async () => {
  await using registry = await startRegistry({ delete: false });
  const { manifest } = await fill(registry);
  for (const path of ['manifests/v1', `manifests/${manifest}`, `blobs/${layer}`]) {
    expect(message(await registry.call('DELETE', `/v2/app/${path}`))).toContain('storage.delete');
  }
  for (const [method, path] of [
    ['DELETE', 'tags/list'],
    ['POST', 'manifests/v1'],
  ] as const) {
    expect(message(await registry.call(method, `/v2/app/${path}`))).not.toContain('storage.delete');
  }
});

test('a full disk is told of with the status line that makes Docker stop; pulls go on', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  await using registry = await startRegistry({ freeSpaceReserve: 1_000_000 });
  const { manifest, session } = await fill(registry);
  registry.disk.free = 999_999;
  vi.advanceTimersByTime(1000);
  const refused = [
    await registry.call('POST', '/v2/app/blobs/uploads/'),
    await registry.call('POST', `/v2/app/blobs/uploads/?digest=${layer}`, { body: 'layer' }),
    await registry.call('PATCH', session, { body: 'layer' }),
    await registry.call('PUT', `${session}?digest=${layer}`, { body: 'layer' }),
    await registry.call('PUT', '/v2/app/manifests/v2', {
      body: (await registry.call('GET', '/v2/app/manifests/v1')).body,
    }),
  ];
  for (const { status, reason, code } of refused) {
    expect([status, reason, code]).toEqual([507, 'no space left on device', 'UNAVAILABLE']);
  }
  expect((await registry.call('GET', `/v2/app/blobs/${layer}`)).status).toBe(200);
  expect((await registry.call('POST', `/v2/other/blobs/uploads/?mount=${layer}&from=app`)).status).toBe(201);
  expect((await registry.call('DELETE', `/v2/app/manifests/${manifest}`)).status).toBe(202);
  expect((await registry.call('DELETE', session)).status).toBe(204);
});

test('a body is refused by the length that its header announces', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  await using registry = await startRegistry({ freeSpaceReserve: 1_000_000 });
  const { session } = await fill(registry);
  registry.disk.free = 1_000_000 + 4096;
  vi.advanceTimersByTime(1000);
  const answer = await registry.call('PATCH', session, { body: 'x'.repeat(8000) });
  expect([answer.status, answer.reason]).toEqual([507, 'no space left on device']);
  expect((await registry.call('GET', session)).headers.range).toBe('0-0');
});

test('the algorithm that a POST announces is one that content can be named by', async () => {
  await using registry = await startRegistry();
  for (const algorithm of ['sha256', 'sha512']) {
    expect((await registry.call('POST', `/v2/app/blobs/uploads/?digest-algorithm=${algorithm}`)).status).toBe(202);
  }
  const { status, code } = await registry.call('POST', '/v2/app/blobs/uploads/?digest-algorithm=md5');
  expect([status, code]).toEqual([400, 'DIGEST_INVALID']);
});
