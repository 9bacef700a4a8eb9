import { expect, test } from 'vitest';
import { startRegistry } from '../support/registry.ts';

test('a mirror’s ns parameter changes nothing', async () => {
  await using registry = await startRegistry();
  const { digest, bytes } = await registry.image('app', 'v1');
  const layer = await registry.blob('app', 'layer');
  for (const [path, content] of [
    ['/v2/app/manifests/v1', bytes],
    [`/v2/app/manifests/${digest}`, bytes],
    [`/v2/app/blobs/${layer}`, Buffer.from('layer')],
  ] as const) {
    const { status, body } = await registry.call('GET', `${path}?ns=docker.io`);
    expect([path, status, String(body)]).toEqual([path, 200, String(content)]);
  }
});

test('ranges that are open at their end can be asked for at once', async () => {
  await using registry = await startRegistry();
  const content = Buffer.from('0123456789'.repeat(50_000));
  const digest = await registry.blob('app', content);
  const starts = [0, 100_000, 250_000, 499_999];
  const answers = await Promise.all(
    starts.map((start) => registry.call('GET', `/v2/app/blobs/${digest}`, { headers: { range: `bytes=${start}-` } })),
  );
  for (const [place, start] of starts.entries()) {
    expect([answers[place]?.status, answers[place]?.headers['content-range']]).toEqual([
      206,
      `bytes ${start}-${content.length - 1}/${content.length}`,
    ]);
    expect(answers[place]?.body.equals(content.subarray(start))).toBe(true);
  }
});

test('the least size of chunks is announced where the back end has one, and not elsewhere', async () => {
  await using registry = await startRegistry();
  const announced = async (): Promise<unknown> =>
    (await registry.call('POST', '/v2/app/blobs/uploads/')).headers['oci-chunk-min-length'];
  expect(await announced()).toBeUndefined();
  Object.assign(registry.store.uploads, { leastChunk: 8_388_608 });
  expect(await announced()).toBe('8388608');
});
