import { expect, test, vi } from 'vitest';
import { startRegistry } from '../support/registry.ts';

const elsewhere = 'https://s3.corp:9000/images/key?signature=x';

test.each([
  [{ host: 'registry.corp' }, 307],
  [{ host: 'backend:5000', 'x-forwarded-host': 'registry.corp' }, 307],
  [{ host: 's3.corp' }, 200],
  [{ host: 'S3.corp:5000' }, 200],
  [{ host: 'backend:5000', 'x-forwarded-host': 's3.corp' }, 200],
  [{ host: 'backend:5000', 'x-forwarded-host': 'proxy.corp, s3.corp:443' }, 200],
])('a client that knows the registry by %j is sent elsewhere only to another host: %i', async (headers, status) => {
  await using registry = await startRegistry();
  const digest = await registry.blob('app', Buffer.from('bytes'));
  vi.spyOn(registry.store.blobs, 'url').mockResolvedValue(elsewhere);
  const answer = await registry.call('GET', `/v2/app/blobs/${digest}`, { headers });
  expect([answer.status, answer.headers.location]).toEqual([status, status === 307 ? elsewhere : undefined]);
});
