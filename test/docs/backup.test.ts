import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { type Server, startServer } from '../support/server.ts';
import { freshClone } from './clone.ts';
import { blocksOf } from './pages.ts';
import { putWeb, web } from './put.ts';

vi.setConfig({ testTimeout: 120_000 });

/** How it answers the image that was put, by its tag and its layers. */
async function images({ url }: Server): Promise<number[]> {
  const paths = ['manifests/1.4', ...web.layers.map(({ digest }) => `blobs/${digest}`)];
  return Promise.all(paths.map(async (path) => (await fetch(`${url}/v2/team/web/${path}`)).status));
}

test('what the manual has saved comes back: all of it, or the images that were copied while it ran', async () => {
  await using clone = await freshClone({ install: false });
  const data = join(clone.folder, 'data');
  await using server = await startServer({ SHIPLOG_DATA: data });
  const [save = '', saveImages = '', restore = '', restoreImages = ''] = blocksOf('docs/operations.md', 'sh').map(
    ({ text }) => text,
  );
  const found = async (): Promise<string> => (await fetch(`${server.url}/api/logs?q=kept`)).text();
  await putWeb(server.url);
  const body = '{"message":"kept","host":"web-1"}';
  await fetch(`${server.url}/logs`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  await vi.waitFor(async () => expect(await found()).toContain('"message":"kept"'), { timeout: 20_000 });

  await clone.shell(saveImages);
  await server.stop();
  await clone.shell(save);
  await rm(data, { recursive: true });
  await clone.shell(restore);
  await server.start();
  expect(await images(server)).toEqual([200, 200, 200]);
  expect(await found()).toContain('"message":"kept"');

  await server.stop();
  await rm(data, { recursive: true });
  await clone.shell(restoreImages);
  await server.start();
  expect(await images(server)).toEqual([200, 200, 200]);
  expect(await found()).toContain('"records":[]');
});
