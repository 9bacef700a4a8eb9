import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shiplogProcess } from '../support/command.ts';
import { random } from '../support/random.ts';
import { startServer } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';

let docker: Docker;
beforeAll(async () => {
  docker = await startDocker();
});
afterAll(() => docker[Symbol.asyncDispose]());

/** The digests that an image's manifest names: its own, its config's, and its layers'. */
async function digestsOf(url: string, repository: string, tag: string): Promise<string[]> {
  const answer = await fetch(`${url}/v2/${repository}/manifests/${tag}`);
  const { config, layers } = JSON.parse(await answer.text());
  const own = answer.headers.get('docker-content-digest') ?? '';
  return [own, config.digest, ...layers.map(({ digest }: { digest: string }) => digest)];
}

test('whatever of an image has rotted, a scrub beside the server finds it, and the next push heals it', async () => {
  await using server = await startServer();
  const [image, other] = [`127.0.0.1:${server.httpPort}/team/web:1.4`, `127.0.0.1:${server.httpPort}/app:latest`];
  await docker.buildBusybox('base');
  await docker.build(image, 'FROM base\nCOPY data /data\n', { data: random(4).bytes(3_000_000) });
  await docker.cli(['push', image]);
  await docker.cli(['tag', 'base', other]);
  await docker.cli(['push', other]);
  const scrub = (): ReturnType<typeof shiplogProcess> => shiplogProcess(['scrub'], server.env);
  expect(await scrub()).toMatchObject({ code: 0, stdout: expect.stringContaining(' 0 rotten') });

  // The last layer is the image's own, the one before it is of both images.
  for (const [place, digest] of (await digestsOf(server.url, 'team/web', '1.4')).entries()) {
    const hex = digest.slice(7);
    const file = join(server.data, `registry/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`);
    const bytes = await readFile(file);
    await writeFile(file, Buffer.from(bytes).fill(0, bytes.length >> 1));
    const { code, stdout } = await scrub();
    expect([code, stdout]).toEqual([
      1,
      expect.stringContaining(`rotten, and put aside until it is pushed again: ${digest}`),
    ]);
    const hurt = [...stdout.matchAll(/^hurt, and to be pushed again: (.*)$/gm)].map(([, tag]) => tag);
    expect(hurt).toEqual(place === 2 ? ['app:latest', 'team/web:1.4'] : ['team/web:1.4']);

    const pushed = await docker.cli(['push', image]);
    if (place > 1) expect(pushed).toContain('Pushed');
    expect(await readFile(file)).toEqual(bytes);
    expect((await scrub()).code).toBe(0);
  }

  await docker.cli(['system', 'prune', '--all', '--force']);
  for (const one of [image, other]) expect(await docker.cli(['pull', one])).toContain('Downloaded newer image');
  expect(await docker.run(image, ['wc', '-c', '/data'])).toBe('3000000 /data\n');
});
