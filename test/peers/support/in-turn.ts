import { afterAll, beforeAll, expect, test } from 'vitest';
import { descriptor, image, index } from '../../support/images.ts';
import { type Server, startServer } from '../../support/server.ts';
import { Api } from './api.ts';
import type { Distribution } from './distribution.ts';
import { type Docker, startDocker } from './docker.ts';
import { type Ground, onDisk } from './ground.ts';
import { type Layout, writeLayout } from './images.ts';
import { skopeo } from './skopeo.ts';
import { walk } from './walk.ts';

const hostOf = (server: Server): string => `127.0.0.1:${server.httpPort}`;

/** What holds where a release of distribution and shiplog take turns on one directory. */
export function testInTurn(release: Distribution): void {
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

  test('on the directory of shiplog it serves every image in it', async () => {
    await using ground = await onDisk();
    await using server = await startServer(ground.settings);
    await fill(hostOf(server));
    const ours = await walk(server.url);
    expect(ours.size).toBeGreaterThan(40);

    await using peer = await release.start(ground);
    expect(await walk(peer.url)).toEqual(ours);
    expect(await pullBuilt(peer.host)).toBe('runs\n');
  });

  test('shiplog on its directory serves every image in it', async () => {
    await using ground = await onDisk();
    await using peer = await release.start(ground);
    await fill(peer.host);
    const theirs = await walk(peer.url);
    expect(theirs.size).toBeGreaterThan(40);

    await using server = await startServer(ground.settings);
    expect(await walk(server.url)).toEqual(theirs);
    expect(await pullBuilt(hostOf(server))).toBe('runs\n');
  });
}

/** Both do the same, each on a ground of its own. */
export function testAlike(release: Distribution, open: () => Promise<Ground>): void {
  test('the same pushes and deletes leave the same files, byte for byte, but for those of shiplog alone', async () => {
    await using ours = await open();
    await using theirs = await open();
    await using server = await startServer(ours.settings);
    await using peer = await release.start(theirs);
    const [one, other] = [image({ seed: 1 }), image({ seed: 2, kind: 'docker' })];
    const referrer = image({ seed: 3, manifest: { subject: descriptor(one.manifest) } });
    for (const registry of [new Api(server), new Api(peer)]) {
      await registry.image('team/app', one, 'v1');
      await registry.image('team/app', other);
      await registry.manifest('team/app', index([one, other]), 'all');
      await registry.manifest('team/app', other.manifest, 'v1');
      await registry.image('team/app', referrer);
      await registry.mount('team/other', one.config, 'team/app');
      for (const layer of one.layers) await registry.mount('team/other', layer, 'team/app');
      await registry.manifest('team/other', one.manifest, 'v1');
      await registry.image('gone', one, 'v1');
      await registry.deleteManifest('gone', one.manifest.digest);
      await registry.deleteBlob('gone', one.config);
    }
    const expected = await theirs.read();
    expect(expected.size).toBeGreaterThan(30);
    expect(new Map([...(await ours.read())].filter(([path]) => !path.includes('/_shiplog/')))).toEqual(expected);
  });
}
