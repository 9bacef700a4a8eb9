import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hash } from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Server, startServer } from '../support/server.ts';
import { random } from '../support/random.ts';
import { type Docker, startDocker } from './support/docker.ts';

let docker: Docker;
beforeAll(async () => {
  docker = await startDocker();
});
afterAll(() => docker[Symbol.asyncDispose]());

/** Pushes an image. @returns the digest that Docker learnt */
async function push(image: string): Promise<string> {
  const output = await docker.cli(['push', image]);
  return /digest: (sha256:[0-9a-f]{64}) size: \d+/.exec(output)?.[1] ?? output;
}

/** Pulls an image into a Docker that has no layer of it. @returns the digest that Docker found */
async function pull(image: string): Promise<string> {
  await docker.cli(['system', 'prune', '--all', '--force']);
  const output = await docker.cli(['pull', image]);
  expect(output).toContain('Downloaded newer image');
  return /Digest: (sha256:[0-9a-f]{64})/.exec(output)?.[1] ?? output;
}

test('an image of several layers comes back by tag and by digest as it was pushed, and runs', async () => {
  await using server = await startServer();
  const image = `127.0.0.1:${server.httpPort}/team/web:1.4`;
  await docker.buildBusybox('base');
  await docker.build(image, 'FROM base\nCOPY a /a\nCOPY b /b\nENV GREETING=hello\n', { a: 'first', b: 'second' });
  const before = await docker.inspect(image);
  const digest = await push(image);

  expect(await pull(image)).toBe(digest);
  expect(await docker.inspect(image)).toEqual({
    id: before.id,
    repoDigests: [`127.0.0.1:${server.httpPort}/team/web@${digest}`],
  });
  expect(await docker.run(image, ['sh', '-c', 'echo $GREETING; cat /a /b'])).toBe('hello\nfirstsecond');

  const byDigest = `127.0.0.1:${server.httpPort}/team/web@${digest}`;
  expect(await pull(byDigest)).toBe(digest);
  expect((await docker.inspect(byDigest)).id).toBe(before.id);
});

test('a tag moves with the next push, and layers that are there are not sent again', async () => {
  await using server = await startServer();
  const [image, other] = [`127.0.0.1:${server.httpPort}/app:latest`, `127.0.0.1:${server.httpPort}/other/app:latest`];
  await docker.buildBusybox('base');
  await docker.build(image, 'FROM base\nCOPY a /a\n', { a: 'one' });
  const first = await push(image);
  await docker.build(image, 'FROM base\nCOPY a /a\n', { a: 'two' });
  const output = await docker.cli(['push', image]);
  expect(output).toContain('Layer already exists');
  expect(output).not.toContain(first);
  await docker.cli(['tag', image, other]);
  expect(await docker.cli(['push', other])).toContain('Mounted from app');
  expect(await docker.run(other, ['cat', '/a'])).toBe('two');
  expect(output).toContain(await pull(image));
});

describe('with users', () => {
  let server: Server;
  let image: string;
  beforeAll(async () => {
    server = await startServer();
    image = `127.0.0.1:${server.httpPort}/team/web:1`;
    const file = join(server.data, 'htpasswd');
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `ci:${await hash('right', 4)}\n`);
    for (let wait = 0; wait < 100 && (await fetch(`${server.url}/v2/`)).status !== 401; wait += 1) await sleep(100);
    await docker.buildBusybox(image);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const login = (password: string): Promise<string> =>
    docker.cli(['login', '--username', 'ci', '--password-stdin', `127.0.0.1:${server.httpPort}`], password);

  test('without a login, nothing can be pushed or pulled', async () => {
    await expect(docker.cli(['push', image])).rejects.toThrow(/no basic auth credentials|unauthorized/);
    await expect(docker.cli(['pull', image])).rejects.toThrow(/no basic auth credentials|unauthorized/);
  });

  test('docker login takes the right password only, and then push and pull work until the logout', async () => {
    await expect(login('wrong')).rejects.toThrow('401 Unauthorized');
    expect(await login('right')).toContain('Login Succeeded');
    const digest = await push(image);
    expect(await pull(image)).toBe(digest);
    await docker.cli(['logout', `127.0.0.1:${server.httpPort}`]);
    await expect(docker.cli(['pull', image])).rejects.toThrow(/no basic auth credentials|unauthorized/);
  });
});

test('layers of over 100 MB survive kill -9 and a restart: the same digest and the same content', async () => {
  await using server = await startServer();
  const image = `127.0.0.1:${server.httpPort}/large:1`;
  const randomness = random(1);
  await docker.build(image, 'FROM scratch\nCOPY one /one\nCOPY two /two\n', {
    one: randomness.bytes(105_000_000),
    two: randomness.bytes(110_000_000),
  });
  const before = await docker.inspect(image);
  const digest = await push(image);
  await server.kill();
  await server.start();
  expect(await pull(image)).toBe(digest);
  // The id is the config's digest, which names the layers' uncompressed content, which the pull has verified.
  expect((await docker.inspect(image)).id).toBe(before.id);
});
