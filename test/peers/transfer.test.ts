import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { type Server, startServer } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';
import { type Layout, writeLayout } from './support/images.ts';
import { run } from './support/process.ts';
import { skopeo } from './support/skopeo.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');

/** Two machines with a registry each, and no network between them. */
let [here, there]: Server[] = [];
let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shiplog-transfer-'));
  file = join(folder, 'image.tar');
  const servers = [await startServer(), await startServer()];
  [here, there] = servers;
  return async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  };
});

/** Runs a line of the shell in which `shiplog` is the command line of a server. */
function shell(server: Server | undefined, line: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  // Debian's Docker, which is not the first in the PATH everywhere.
  const command = `
    shiplog() { '${process.execPath}' '${main}' "$@"; }
    docker() { /usr/bin/docker "$@"; }
    cd '${folder}'
    ${line}`;
  const { SHIPLOG_DATA = '', SHIPLOG_HTTP_LISTEN = '' } = server?.env ?? {};
  return run('/bin/bash', ['-e', '-o', 'pipefail', '-c', command], {
    env: { SHIPLOG_DATA, SHIPLOG_HTTP_LISTEN, ...env },
  });
}

const at = (server: Server | undefined, image: string): string => `127.0.0.1:${server?.httpPort}/${image}`;

describe('with Docker', () => {
  let docker: Docker;
  beforeAll(async () => {
    docker = await startDocker();
    await docker.buildBusybox('base');
    await docker.build('team/web:1.4', 'FROM base\nCOPY a /a\nCOPY b /b\nCOPY a /a\n', { a: 'first', b: 'second' });
    await docker.cli(['tag', 'team/web:1.4', 'registry.corp/team/web:1.4']);
  });
  afterAll(() => docker[Symbol.asyncDispose]());

  test('what it saved is imported, pulled and run: the same image', async () => {
    const { id } = await docker.inspect('team/web:1.4');
    // One that has no layer of it.
    await using elsewhere = await startDocker();
    for (const [line, image] of [
      ['docker save team/web:1.4 > image.tar; shiplog import < image.tar', 'team/web:1.4'],
      ['docker save registry.corp/team/web:1.4 | gzip | shiplog import', 'team/web:1.4'],
      [`docker save ${id} | shiplog import by/id`, 'by/id:latest'],
    ] as const) {
      expect(await shell(here, line, docker.env)).toMatch(/sha256:\w{64}, \d of \d blobs sent/);
      await elsewhere.cli(['pull', at(here, image)]);
      expect((await elsewhere.inspect(at(here, image))).id).toBe(id);
      expect(await elsewhere.run(at(here, image), ['cat', '/a', '/b'])).toBe('firstsecond');
    }
  });

  test('what it pushed is exported, loaded elsewhere and run; the archive is imported there, and pulled', async () => {
    const image = at(here, 'app:1');
    await docker.cli(['tag', 'team/web:1.4', image]);
    await docker.cli(['push', image]);
    const { id } = await docker.inspect(image);
    await shell(here, 'shiplog export app:1 > image.tar');
    await shell(there, 'shiplog import < image.tar');

    await using elsewhere = await startDocker();
    expect(await elsewhere.cli(['load', '--input', file])).toBe('Loaded image: app:1\n');
    expect((await elsewhere.inspect('app:1')).id).toBe(id);
    expect(await elsewhere.run('app:1', ['cat', '/a', '/b'])).toBe('firstsecond');
    expect(await elsewhere.cli(['pull', at(there, 'app:1')])).toContain('Downloaded newer image');
    expect((await elsewhere.inspect(at(there, 'app:1'))).id).toBe(id);
  });
});

describe('with skopeo', () => {
  let layout: Layout;
  beforeAll(async () => {
    layout = await writeLayout();
  });
  afterAll(() => layout[Symbol.asyncDispose]());

  const raw = (image: string): Promise<string> => skopeo('inspect', '--raw', image);

  test.each(['oci-archive', 'docker-archive'])('what it wrote as %s is imported', async (form) => {
    await skopeo('copy', layout.single, `${form}:${file}:team/web:1.4`);
    await shell(here, 'shiplog import < image.tar');
    await skopeo('copy', `docker://${at(here, 'team/web:1.4')}`, `oci:${folder}/back:1`);
    const config = (image: string): Promise<string> => skopeo('inspect', '--config', '--raw', image);
    expect(await config(`docker://${at(here, 'team/web:1.4')}`)).toBe(await config(layout.single));
    if (form === 'oci-archive')
      expect(await raw(`docker://${at(here, 'team/web:1.4')}`)).toBe(await raw(layout.single));
  });

  test('an index of two platforms goes there and back byte for byte, whole and as what skopeo reads', async () => {
    await skopeo('copy', '--all', layout.multi, `docker://${at(here, 'multi:1')}`);
    await shell(here, 'shiplog export multi:1 -o image.tar');
    await shell(there, 'shiplog import -i image.tar');
    const index = await raw(layout.multi);
    expect(await raw(`docker://${at(there, 'multi:1')}`)).toBe(index);
    await shell(there, 'shiplog export multi:1 -o again.tar');
    expect(digestOf(await readFile(join(folder, 'again.tar')))).toBe(digestOf(await readFile(file)));

    expect(await raw(`oci-archive:${file}:1`)).toBe(index);
    await skopeo('copy', '--all', `oci-archive:${file}:1`, `oci:${folder}/read:1`);
    expect(await raw(`oci:${folder}/read:1`)).toBe(index);

    await shell(here, 'shiplog export multi:1 --platform linux/arm64 -o arm64.tar');
    const inspected = JSON.parse(await skopeo('inspect', `oci-archive:${folder}/arm64.tar:1`));
    expect(inspected).toMatchObject({ Architecture: 'arm64' });
  });
});
