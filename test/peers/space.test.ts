import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { random } from '../support/random.ts';
import { type Server, startServer } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';
import { run } from './support/process.ts';

let docker: Docker;
beforeAll(async () => {
  docker = await startDocker();
});
afterAll(() => docker[Symbol.asyncDispose]());

/** A file system of its own, of this size. */
async function mountSmall(size: string): Promise<AsyncDisposable & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-small-'));
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
  return {
    folder,
    async [Symbol.asyncDispose]() {
      await run('umount', [folder]);
      await rm(folder, { recursive: true });
    },
  };
}

/** Builds an image with a layer of this size, and pushes it. @returns how Docker fails, all that it said */
async function failedPush(server: Server, name: string, bytes: number): Promise<string> {
  const image = `127.0.0.1:${server.httpPort}/${name}`;
  await docker.build(image, 'FROM scratch\nCOPY layer /layer\n', { layer: random(bytes).bytes(bytes) });
  return docker.cli(['push', image]).then(
    (output) => `it was pushed: ${output}`,
    (error: unknown) => String(error),
  );
}

test.each([
  ['that a reserve is kept of', '24MiB'],
  ['without a reserve', '0B'],
])('on a small disk %s, Docker stops at once and says why, and pulls go on', async (_what, reserve) => {
  await using disk = await mountSmall('64m');
  await using server = await startServer({
    SHIPLOG_STORAGE_DISK_ROOT: join(disk.folder, 'registry'),
    SHIPLOG_STORAGE_DISK_FREE_SPACE_RESERVE: reserve,
  });
  const image = `127.0.0.1:${server.httpPort}/app:1`;
  await docker.buildBusybox(image);
  await docker.cli(['push', image]);

  const output = await failedPush(server, 'large:1', 90_000_000);
  expect(output).toContain('no space left on device');
  // What Docker prints ahead of each of its five further tries.
  expect(output).not.toContain('Retrying');

  await docker.cli(['system', 'prune', '--all', '--force']);
  expect(await docker.cli(['pull', image])).toContain('Downloaded newer image');
  expect(await docker.run(image, ['echo', 'pulled'])).toBe('pulled\n');
  expect((await fetch(`${server.url}/v2/app/manifests/1`, { method: 'HEAD' })).status).toBe(200);
});
