import { connect } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
const ociIndex = 'application/vnd.oci.image.index.v1+json';
const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json';
const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json';
const limit = 4 * 1024 * 1024;

let registry: Registry;
let config: object;
beforeAll(async () => {
  registry = await startRegistry();
  const digest = await registry.blob('app', '{}');
  config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 2 };
});
afterAll(() => registry[Symbol.asyncDispose]());

test('GET and HEAD by tag and by digest give it byte for byte, with its digest, type and length', async () => {
  const { digest, bytes } = await registry.image('app', 'v1');
  for (const [reference, caching] of [
    ['v1', 'no-cache'],
    [digest, 'max-age=31536000, immutable'],
  ]) {
    for (const method of ['GET', 'HEAD']) {
      const answer = await registry.call(method, `/v2/app/manifests/${reference}`);
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({
        'content-type': ociManifest,
        'content-length': String(bytes.length),
        'docker-content-digest': digest,
        etag: `"${digest}"`,
        'cache-control': caching,
      });
      expect(answer.body).toEqual(method === 'GET' ? bytes : Buffer.alloc(0));
      const again = await registry.call(method, `/v2/app/manifests/${reference}`, {
        headers: { 'if-none-match': `"${digest}"` },
      });
      expect([again.status, again.body.length]).toEqual([304, 0]);
    }
  }
});

test('Accept never makes it fail or change', async () => {
  const { bytes } = await registry.image('app', 'v1');
  for (const accept of ['*/*', dockerManifest, 'text/html', 'application/json;q=0', 'nonsense', '']) {
    const { status, headers, body } = await registry.call('GET', '/v2/app/manifests/v1', { headers: { accept } });
    expect([accept, status, headers['content-type']]).toEqual([accept, 200, ociManifest]);
    expect(body).toEqual(bytes);
  }
});

const kinds: readonly [type: string, rest: () => object][] = [
  [ociManifest, () => ({ config, layers: [] })],
  [
    dockerManifest,
    () => ({ config: { ...config, mediaType: 'application/vnd.docker.container.image.v1+json' }, layers: [] }),
  ],
  [ociIndex, () => ({ manifests: [] })],
  [dockerList, () => ({ manifests: [] })],
];
test.each(kinds)('%s is taken and given back as such', async (mediaType, rest) => {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...rest() }));
  const digest = digestOf(bytes);
  for (const reference of ['kind', digest]) {
    const put = await registry.call('PUT', `/v2/app/manifests/${reference}`, {
      headers: { 'content-type': mediaType },
      body: bytes,
    });
    expect(put.status, String(put.body)).toBe(201);
    expect(put.headers).toMatchObject({
      location: `/v2/app/manifests/${digest}`,
      'docker-content-digest': digest,
      'content-length': '0',
    });
    expect(put.headers['oci-subject']).toBeUndefined();
    const get = await registry.call('GET', put.headers.location ?? '');
    expect(get.headers['content-type']).toBe(mediaType);
    expect(get.body).toEqual(bytes);
  }
});

test('a Content-Type with parameters, or none, is fine where the document says what it is', async () => {
  const body = JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers: [] });
  for (const headers of [{ 'content-type': `${ociManifest}; charset=utf-8` }, {}]) {
    const put = await registry.call('PUT', '/v2/app/manifests/typed', { headers, body });
    expect(put.status, String(put.body)).toBe(201);
    const head = await registry.call('HEAD', '/v2/app/manifests/typed');
    expect(head.headers['content-type']).toBe(ociManifest);
  }
});

test('a manifest with a subject is told so, also where the subject is not there', async () => {
  const subject = { mediaType: ociManifest, digest: `sha256:${'b'.repeat(64)}`, size: 100 };
  const put = await registry.call('PUT', '/v2/app/manifests/signature', {
    headers: { 'content-type': ociManifest },
    body: JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers: [], subject }),
  });
  expect([put.status, put.headers['oci-subject']]).toEqual([201, subject.digest]);
});

describe('refused', () => {
  const document = (): object => ({ schemaVersion: 2, mediaType: ociManifest, config, layers: [] });
  const missing = `sha256:${'c'.repeat(64)}`;
  const bodies: Record<string, [body: () => string, type: string, code: string]> = {
    'no JSON': [() => 'not json', ociManifest, 'MANIFEST_INVALID'],
    'an empty body': [() => '', ociManifest, 'MANIFEST_INVALID'],
    'JSON that is no object': [() => '[]', ociManifest, 'MANIFEST_INVALID'],
    'a type that contradicts the document': [() => JSON.stringify(document()), ociIndex, 'MANIFEST_INVALID'],
    'a manifest that is an index too': [
      () => JSON.stringify({ ...document(), manifests: [] }),
      ociManifest,
      'MANIFEST_INVALID',
    ],
    'a layer that is not there': [
      () => JSON.stringify({ ...document(), layers: [{ mediaType: 'application/x', digest: missing, size: 1 }] }),
      ociManifest,
      'MANIFEST_BLOB_UNKNOWN',
    ],
  };
  test.each(Object.entries(bodies))('%s', async (_, [body, type, code]) => {
    const put = await registry.call('PUT', '/v2/app/manifests/refused', {
      headers: { 'content-type': type },
      body: body(),
    });
    expect([put.status, put.code]).toEqual([400, code]);
    expect((await registry.call('HEAD', '/v2/app/manifests/refused')).status).toBe(404);
  });

  test('missing content is named, each by its digest', async () => {
    const layers = [{ mediaType: 'application/x', digest: missing, size: 1 }];
    const put = await registry.call('PUT', '/v2/app/manifests/refused', {
      headers: { 'content-type': ociManifest },
      body: JSON.stringify({ ...document(), layers }),
    });
    expect(JSON.parse(String(put.body)).errors[0].detail).toEqual([{ digest: missing }]);
  });

  test('a digest that is not that of the body', async () => {
    const put = await registry.call('PUT', `/v2/app/manifests/${missing}`, {
      headers: { 'content-type': ociManifest },
      body: JSON.stringify(document()),
    });
    expect([put.status, put.code]).toEqual([400, 'DIGEST_INVALID']);
  });

  test.each([
    'application/vnd.docker.distribution.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
  ])('%s, with what to do instead', async (type) => {
    const put = await registry.call('PUT', '/v2/app/manifests/refused', {
      headers: { 'content-type': type },
      body: JSON.stringify({ schemaVersion: 1, name: 'app', tag: 'refused', fsLayers: [], history: [] }),
    });
    expect([put.status, put.code]).toEqual([400, 'MANIFEST_INVALID']);
    expect(String(put.body)).toMatch(/schema 1.*push the image again with Docker 1\.10 or later/);
  });
});

describe('size', () => {
  const padded = (length: number): Buffer => {
    const document = { schemaVersion: 2, mediaType: ociManifest, config, layers: [], annotations: { pad: '' } };
    document.annotations.pad = 'x'.repeat(length - JSON.stringify(document).length);
    return Buffer.from(JSON.stringify(document));
  };

  test('4 MiB are taken', async () => {
    const body = padded(limit);
    const put = await registry.call('PUT', '/v2/app/manifests/large', {
      headers: { 'content-type': ociManifest },
      body,
    });
    expect(put.status, String(put.body)).toBe(201);
    expect((await registry.call('GET', '/v2/app/manifests/large')).body).toEqual(body);
  });

  test('one byte more is 413, announced or not', async () => {
    const whole = padded(limit + 1);
    async function* chunked(): AsyncGenerator<Uint8Array> {
      yield whole;
    }
    for (const body of [whole, chunked()]) {
      const put = await registry.call('PUT', '/v2/app/manifests/larger', {
        headers: { 'content-type': ociManifest },
        body,
      });
      expect([put.status, put.code]).toEqual([413, 'MANIFEST_INVALID']);
    }
    expect((await registry.call('HEAD', '/v2/app/manifests/larger')).status).toBe(404);
  });

  test('what is announced as too large is refused before a byte of it was sent', async () => {
    const socket = connect(registry.port, '127.0.0.1');
    socket.write('PUT /v2/app/manifests/huge HTTP/1.1\r\nHost: registry\r\nContent-Length: 99999999999\r\n\r\n');
    const [first] = await once(socket, 'data');
    expect(String(first)).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });
});

test('DELETE of a tag takes the tag alone; of a digest the manifest and all its tags', async () => {
  const { digest } = await registry.image('gone', 'v1');
  await registry.image('gone', 'v2');
  const status = async (reference: string): Promise<number> =>
    (await registry.call('HEAD', `/v2/gone/manifests/${reference}`)).status;

  const tag = await registry.call('DELETE', '/v2/gone/manifests/v1');
  expect([tag.status, tag.body.length]).toEqual([202, 0]);
  expect([await status('v1'), await status('v2'), await status(digest)]).toEqual([404, 200, 200]);
  const again = await registry.call('DELETE', '/v2/gone/manifests/v1');
  expect([again.status, again.code]).toEqual([404, 'MANIFEST_UNKNOWN']);

  expect((await registry.call('DELETE', `/v2/gone/manifests/${digest}`)).status).toBe(202);
  expect([await status('v2'), await status(digest)]).toEqual([404, 404]);
  expect((await registry.call('DELETE', `/v2/gone/manifests/${digest}`)).code).toBe('MANIFEST_UNKNOWN');
});

test('what is not there is 404 MANIFEST_UNKNOWN', async () => {
  for (const path of ['app/manifests/none', `app/manifests/sha256:${'d'.repeat(64)}`, 'nowhere/manifests/none']) {
    const answer = await registry.call('GET', `/v2/${path}`);
    expect([path, answer.status, answer.code]).toEqual([path, 404, 'MANIFEST_UNKNOWN']);
    expect((await registry.call('HEAD', `/v2/${path}`)).status).toBe(404);
  }
});

test('a blob is no manifest, and a manifest no blob of its repository’s', async () => {
  const { digest } = await registry.image('app', 'v1');
  const blob = await registry.blob('app', 'some bytes');
  expect((await registry.call('GET', `/v2/app/manifests/${blob}`)).status).toBe(404);
  expect((await registry.call('GET', `/v2/app/blobs/${digest}`)).status).toBe(404);
});
