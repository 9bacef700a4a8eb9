import { afterAll, beforeAll, expect, test } from 'vitest';
import { everything } from '../../src/auth/authorize.ts';
import { HttpError } from '../../src/http/errors.ts';
import { digestOf } from '../../storage/digest.ts';
import { type Answer, type Registry, startRegistry } from '../support/registry.ts';

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';
const empty = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(Buffer.from('{}')), size: 2 };
const absent = `sha256:${'b'.repeat(64)}`;

let registry: Registry;
beforeAll(async () => {
  registry = await startRegistry();
  await registry.blob('app', '{}');
});
afterAll(() => registry[Symbol.asyncDispose]());

/** Puts an artifact that refers to a digest, and answers its own. */
async function attach(subject: string, artifactType: string): Promise<string> {
  const document = {
    schemaVersion: 2,
    mediaType: manifestType,
    artifactType,
    config: empty,
    layers: [empty],
    subject: { mediaType: manifestType, digest: subject, size: 100 },
    annotations: { 'org.example.of': subject },
  };
  const body = JSON.stringify(document);
  const put = await registry.call('PUT', `/v2/app/manifests/${digestOf(Buffer.from(body))}`, { body });
  expect([put.status, put.headers['oci-subject']]).toEqual([201, subject]);
  return digestOf(Buffer.from(body));
}

const parse = ({ body }: Answer): { manifests: { digest: string; artifactType: string }[] } => JSON.parse(String(body));

test('what nothing refers to has an empty index, with the exact type, whether it is there or not', async () => {
  const { digest } = await registry.image('app', 'v1');
  for (const [name, subject] of [
    ['app', digest],
    ['app', absent],
    ['never/seen', `sha512:${'c'.repeat(128)}`],
  ]) {
    const answer = await registry.call('GET', `/v2/${name}/referrers/${subject}`);
    expect([answer.status, answer.headers['content-type'], answer.headers['oci-filters-applied']]).toEqual([
      200,
      indexType,
      undefined,
    ]);
    expect(JSON.parse(String(answer.body))).toEqual({ schemaVersion: 2, mediaType: indexType, manifests: [] });
  }
});

test.each(['latest', 'sha256:abc', `md5:${'0'.repeat(32)}`, `sha256:${'B'.repeat(64)}`])(
  'a digest that is none (%s) is 400 DIGEST_INVALID',
  async (digest) => {
    const answer = await registry.call('GET', `/v2/app/referrers/${digest}`);
    expect([answer.status, answer.code]).toEqual([400, 'DIGEST_INVALID']);
  },
);

test('referrers are listed with size, type and annotations, filtered, and on pages that name their filter', async () => {
  const { digest: subject } = await registry.image('app', 'subject', ['another layer']);
  const digests: string[] = [];
  for (let n = 0; n < 6; n += 1) digests.push(await attach(subject, n < 5 ? 'test/a b' : 'test/other'));
  const unique = [...new Set(digests)];
  const all = await registry.call('GET', `/v2/app/referrers/${subject}`);
  expect(parse(all).manifests.map(({ digest }) => digest)).toEqual(unique.toSorted());
  expect(parse(all).manifests[0]).toMatchObject({
    mediaType: manifestType,
    size: expect.any(Number),
    annotations: { 'org.example.of': subject },
  });
  const filtered = await registry.call('GET', `/v2/app/referrers/${subject}?artifactType=test%2Fother`);
  expect(filtered.headers['oci-filters-applied']).toBe('artifactType');
  expect(parse(filtered).manifests.map(({ artifactType }) => artifactType)).toEqual(['test/other']);
  const first = await registry.call('GET', `/v2/app/referrers/${subject}?n=1`);
  const [, next = ''] = /^<(.*)>; rel="next"$/.exec(String(first.headers['link'])) ?? [];
  expect(next).toMatch(new RegExp(`^/v2/app/referrers/${subject}\\?`));
  const second = await registry.call('GET', next);
  expect([...parse(first).manifests, ...parse(second).manifests].map(({ digest }) => digest)).toEqual(
    unique.toSorted(),
  );
  expect(second.headers['link']).toBeUndefined();
});

test('a page of a filtered list leads to the next of the same filter', async () => {
  const subject = digestOf(Buffer.from('paged'));
  const wanted: string[] = [];
  for (let n = 0; n < 4; n += 1) {
    const body = {
      schemaVersion: 2,
      mediaType: manifestType,
      artifactType: 'test/x&y',
      config: empty,
      layers: [],
      annotations: { n: String(n) },
      subject: { ...empty, digest: subject },
    };
    const bytes = JSON.stringify(body);
    wanted.push(digestOf(Buffer.from(bytes)));
    await registry.call('PUT', `/v2/app/manifests/${wanted[n]}`, { body: bytes });
  }
  await attach(subject, 'test/other');
  const found: string[] = [];
  let path: string | undefined = `/v2/app/referrers/${subject}?artifactType=test%2Fx%26y&n=3`;
  while (path !== undefined) {
    const answer: Answer = await registry.call('GET', path);
    expect(answer.headers['oci-filters-applied']).toBe('artifactType');
    found.push(...parse(answer).manifests.map(({ digest }) => digest));
    path = /^<(.*)>; rel="next"$/.exec(String(answer.headers['link']))?.[1];
  }
  expect(found).toEqual(wanted.toSorted());
});

test('a subject that is not there, and layers that are elsewhere, are warned of within the bounds', async () => {
  const { digest } = await registry.image('app', 'present', ['warned']);
  const layer = {
    mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
    size: 7,
    urls: ['https://example.org/x'],
  };
  const put = async (document: object): Promise<Answer> =>
    registry.call('PUT', '/v2/app/manifests/warned', {
      body: JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config: empty, layers: [], ...document }),
    });
  expect((await put({ subject: { ...empty, digest } })).headers['warning']).toBeUndefined();
  expect((await put({ subject: { ...empty, digest: absent } })).headers['warning']).toBe(
    `299 - "the repository has no manifest ${absent}, to which this one refers"`,
  );
  expect((await put({ layers: [{ ...layer, digest: absent }] })).headers['warning']).toBe(
    `299 - "layer ${absent} is not stored here, but where the manifest says"`,
  );
  const layers = Array.from({ length: 500 }, (_, n) => ({ ...layer, digest: digestOf(Buffer.from(String(n))) }));
  const many = await put({ layers });
  expect(many.status).toBe(201);
  const length = String(many.headers['warning']).length;
  expect(length).toBeGreaterThan(3000);
  expect(length).toBeLessThanOrEqual(4096);
});

test('a PUT by digest with tags sets each, and names them; so does one by tag', async () => {
  const { bytes } = await registry.image('app', 'origin', ['tagged']);
  const digest = digestOf(bytes, 'sha512');
  const names = Array.from({ length: 12 }, (_, n) => `t${n}`);
  const put = await registry.call('PUT', `/v2/app/manifests/${digest}?${names.map((tag) => `tag=${tag}`).join('&')}`, {
    body: bytes,
  });
  expect([put.status, put.headers['docker-content-digest'], put.headers['oci-tag']]).toEqual([
    201,
    digest,
    names.join(', '),
  ]);
  for (const tag of names) {
    const head = await registry.call('HEAD', `/v2/app/manifests/${tag}`);
    expect([head.status, head.headers['docker-content-digest']]).toEqual([200, digest]);
  }
  const byTag = await registry.call('PUT', '/v2/app/manifests/one?tag=two', { body: bytes });
  expect([byTag.status, byTag.headers['oci-tag']]).toEqual([201, 'two']);
  expect((await registry.call('GET', '/v2/app/manifests/two')).status).toBe(200);
});

test.each([
  ['a tag that is none', '?tag=good&tag=-bad', 'TAG_INVALID'],
  [
    'more tags than a request may have',
    `?${Array.from({ length: 101 }, (_, n) => `tag=x${n}`).join('&')}`,
    'TAG_INVALID',
  ],
])('%s is 400 and changes nothing', async (_, query, code) => {
  const { bytes } = await registry.image('app', 'origin', ['tagged']);
  const before = await registry.call('GET', '/v2/app/tags/list');
  const put = await registry.call('PUT', `/v2/app/manifests/${digestOf(bytes)}${query}`, { body: bytes });
  expect([put.status, put.code]).toEqual([400, code]);
  expect((await registry.call('GET', '/v2/app/tags/list')).body).toEqual(before.body);
});

test('no request gets a blob out of a repository that its caller may not pull', async () => {
  await using guarded = await startRegistry({
    rights: {
      ...everything('ci'),
      may: (action, name) => name !== 'secret' || action === 'push',
      refusal: () => new HttpError(403, 'DENIED', 'no'),
    },
  });
  const digest = await guarded.blob('secret', 'hidden');
  for (const path of [
    '/v2/secret/blobs/DIGEST',
    '/v2/secret/tags/list',
    '/v2/secret/referrers/DIGEST',
    '/v2/secret/manifests/DIGEST',
  ]) {
    const answer = await guarded.call('GET', path.replace('DIGEST', digest));
    expect([path, answer.status, answer.code]).toEqual([path, 403, 'DENIED']);
  }
  for (const from of ['&from=secret', '&from=app', '']) {
    const answer = await guarded.call('POST', `/v2/app/blobs/uploads/?mount=${digest}${from}`);
    expect([from, answer.status]).toEqual([from, 202]);
  }
  const config = await guarded.blob('app', '{}');
  const put = await guarded.call('PUT', '/v2/app/manifests/v1', {
    body: JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: { ...empty, digest: config },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: 6 }],
    }),
  });
  expect([put.status, put.code]).toEqual([400, 'MANIFEST_BLOB_UNKNOWN']);
  for (const name of ['app', 'secret']) {
    const head = await guarded.call('HEAD', `/v2/${name}/blobs/${digest}`);
    expect([name, head.status]).toEqual([name, name === 'app' ? 404 : 403]);
  }
});

test('a manifest that names a blob of another repository is taken where the caller may pull that one', async () => {
  const digest = await registry.blob('library', 'shared by name');
  const put = await registry.call('PUT', '/v2/app/manifests/borrowed', {
    body: JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: empty,
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: 14 }],
    }),
  });
  expect(put.status).toBe(201);
  expect(String((await registry.call('GET', `/v2/app/blobs/${digest}`)).body)).toBe('shared by name');
});
