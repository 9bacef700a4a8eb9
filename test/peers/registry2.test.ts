import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Server, startServer } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';
import { type Layout, writeLayout } from './support/images.ts';
import { startRegistry2 } from './support/registry2.ts';
import { skopeo } from './support/skopeo.ts';
import { walk } from './support/walk.ts';

let layout: Layout;
let docker: Docker;
beforeAll(async () => {
  layout = await writeLayout();
  docker = await startDocker();
});
afterAll(async () => {
  await docker[Symbol.asyncDispose]();
  await layout[Symbol.asyncDispose]();
});

/** Pushes images of each kind, by skopeo and by Docker, to a registry. */
async function fill(host: string): Promise<void> {
  const remote = (image: string): string => `docker://${host}/${image}`;
  await skopeo('copy', '--format=oci', layout.single, remote('team/oci:1'));
  await skopeo('copy', '--format=v2s2', layout.single, remote('team/docker:1'));
  await skopeo('copy', '--all', layout.multi, remote('multi:1'));
  await skopeo('copy', '--all', '--format=v2s2', layout.multi, remote('multi:docker'));
  await skopeo('copy', remote('team/oci:1'), remote('team/oci:2'));
  await skopeo('copy', layout.single, remote('moved:latest'));
  await skopeo('copy', '--format=v2s2', layout.single, remote('moved:latest'));
  await docker.buildBusybox(`${host}/team/built:1`, { 'org.opencontainers.image.revision': 'abc' });
  await docker.cli(['push', `${host}/team/built:1`]);
}

/** Docker pulls, from one registry, what was pushed to the other. */
async function pullBuilt(host: string): Promise<string> {
  await docker.cli(['system', 'prune', '--all', '--force']);
  await docker.cli(['pull', `${host}/team/built:1`]);
  return docker.run(`${host}/team/built:1`, ['echo', 'runs']);
}

const host = (server: Server): string => `127.0.0.1:${server.httpPort}`;

test('registry:2 on the directory of shiplog serves every image in it', async () => {
  await using server = await startServer();
  await fill(host(server));
  const ours = await walk(server.url);
  expect(ours.size).toBeGreaterThan(40);

  await using registry2 = await startRegistry2(join(server.data, 'registry'));
  expect(await walk(registry2.url)).toEqual(ours);
  expect(await pullBuilt(registry2.host)).toBe('runs\n');
});

test('shiplog on the directory of registry:2 serves every image in it', async () => {
  const root = await mkdtemp(join(tmpdir(), 'shiplog-registry2-root-'));
  try {
    await using registry2 = await startRegistry2(root);
    await fill(registry2.host);
    const theirs = await walk(registry2.url);
    expect(theirs.size).toBeGreaterThan(40);

    await using server = await startServer({ SHIPLOG_STORAGE_DISK_ROOT: root });
    expect(await walk(server.url)).toEqual(theirs);
    expect(await pullBuilt(host(server))).toBe('runs\n');
  } finally {
    await rm(root, { recursive: true });
  }
});

test('both at once on one directory: what one gets or loses, the other sees', async () => {
  await using server = await startServer();
  await using registry2 = await startRegistry2(join(server.data, 'registry'));
  const both = async (image: string): Promise<string[]> => {
    const [ours, theirs] = [`docker://${host(server)}/${image}`, `docker://${registry2.host}/${image}`];
    return Promise.all([skopeo('inspect', '--raw', ours), skopeo('inspect', '--raw', theirs)]);
  };
  const agree = async (image: string): Promise<string> => {
    const [ours = '', theirs] = await both(image);
    expect(ours).toBe(theirs);
    return ours;
  };

  await skopeo('copy', '--format=oci', layout.single, `docker://${host(server)}/app:1`);
  const first = await agree('app:1');
  await skopeo('copy', '--format=v2s2', layout.single, `docker://${registry2.host}/app:1`);
  const second = await agree('app:1');
  expect(second).not.toBe(first);
  await skopeo('copy', '--format=oci', layout.single, `docker://${host(server)}/app:1`);
  expect(await agree('app:1')).toBe(first);

  await skopeo('delete', `docker://${registry2.host}/app:1`);
  await expect(skopeo('inspect', '--raw', `docker://${host(server)}/app:1`)).rejects.toThrow('manifest unknown');
  await skopeo('copy', layout.single, `docker://${registry2.host}/app:2`);
  await agree('app:2');
  await skopeo('delete', `docker://${host(server)}/app:2`);
  await expect(skopeo('inspect', '--raw', `docker://${registry2.host}/app:2`)).rejects.toThrow('manifest unknown');
});
