import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blockList } from '../../src/networks.ts';
import { blobKey } from '../../storage/layout.ts';
import { parseDigest } from '../../storage/digest.ts';
import { random } from '../support/random.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const content = random(8).bytes(1000);
const trusted = { location: '/_blobs/', trustedProxies: blockList(['127.0.0.0/8']) };
const says = { 'x-shiplog-accel': '1' };

let registry: Registry;
let digest: string;
let path: string;
beforeAll(async () => {
  registry = await startRegistry({ accel: trusted });
  digest = await registry.blob('app', content);
  path = `/v2/app/blobs/${digest}`;
});
afterAll(() => registry[Symbol.asyncDispose]());

test.each([{}, { range: 'bytes=5-9' }, { range: 'bytes=5-' }, { range: 'bytes=-5' }, { 'if-none-match': '"other"' }])(
  'a proxy that can is told where the bytes lie, and sent none of them: %j',
  async (more) => {
    const { status, headers, body } = await registry.call('GET', path, { headers: { ...says, ...more } });
    expect([status, body.length]).toEqual([200, 0]);
    expect(`docker/registry/v2${String(headers['x-accel-redirect']).replace('/_blobs/', '/blobs/')}`).toBe(
      blobKey(parseDigest(digest)),
    );
    expect(headers['accept-ranges']).toBe('range' in more ? 'bytes' : undefined);
    expect(headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'docker-content-digest': digest,
      etag: `"${digest}"`,
      'cache-control': 'max-age=31536000, immutable',
      'docker-distribution-api-version': 'registry/2.0',
    });
  },
);

describe('whatever else is asked is answered here', () => {
  test.each<[method: string, headers: Record<string, string>, status: number, length: number]>([
    ['GET', {}, 200, 1000],
    ['GET', { 'x-shiplog-accel': '0' }, 200, 1000],
    ['HEAD', says, 200, 0],
    ['GET', { ...says, range: 'bytes=0-1,5-6' }, 206, 221],
    ['GET', { ...says, range: 'bytes=0-1,1000-' }, 206, 2],
    ['GET', { ...says, range: 'bytes=a-b' }, 200, 1000],
    ['GET', { ...says, range: `bytes=0-${'9'.repeat(30)}` }, 206, 1000],
    ['GET', { ...says, range: 'bytes=0-9', 'if-range': '"other"' }, 200, 1000],
    ['GET', { ...says, 'if-match': '"other"' }, 200, 1000],
    ['GET', { ...says, 'if-modified-since': 'Tue, 24 Nov 2037 08:00:00 GMT' }, 200, 1000],
    ['GET', { ...says, 'if-unmodified-since': 'Tue, 24 Nov 1987 08:00:00 GMT' }, 200, 1000],
  ])('%s %j: %i', async (method, headers, status, length) => {
    const answer = await registry.call(method, path, { headers });
    expect([answer.status, answer.headers['x-accel-redirect']]).toEqual([status, undefined]);
    if (answer.headers['content-type'] === 'application/octet-stream') expect(answer.body.length).toBe(length);
    else expect(answer.headers['content-type']).toContain('multipart/byteranges');
  });

  test('so is a refusal: a range that cannot be had, a condition that holds, a blob of another repository', async () => {
    const outcomes = [
      await registry.call('GET', path, { headers: { ...says, range: 'bytes=1000-' } }),
      await registry.call('GET', path, { headers: { ...says, 'if-none-match': `"${digest}"` } }),
      await registry.call('GET', `/v2/other/blobs/${digest}`, { headers: says }),
      await registry.call('GET', '/v2/app/blobs/sha256:..%2f..%2fetc', { headers: says }),
    ];
    expect(outcomes.map(({ status, headers }) => [status, headers['x-accel-redirect']])).toEqual([
      [416, undefined],
      [304, undefined],
      [404, undefined],
      [400, undefined],
    ]);
  });
});

test('nothing is handed over to a peer that is not trusted, nor where no location is configured', async () => {
  for (const accel of [{ ...trusted, trustedProxies: blockList(['10.0.0.0/8']) }, undefined]) {
    await using registry = await startRegistry(accel === undefined ? {} : { accel });
    await registry.blob('app', content);
    const { headers, body } = await registry.call('GET', path, { headers: says });
    expect([headers['x-accel-redirect'], body.length]).toEqual([undefined, 1000]);
  }
});
