import { describe, expect, test } from 'vitest';
import { blob, descriptor, image, sha512 } from '../support/images.ts';
import { odd } from '../support/odd-manifests.ts';
import { startServer } from '../support/server.ts';
import { Api } from './support/api.ts';
import { taken, testCollector } from './support/collector.ts';
import type { Distribution } from './support/distribution.ts';
import { name, pushEverything } from './support/everything.ts';
import { onDisk } from './support/ground.ts';
import { registry2 } from './support/registry2.ts';
import { registry3 } from './support/registry3.ts';
import { manifestTypes } from './support/walk.ts';

const emptyIndex = blob('application/vnd.oci.image.index.v1+json', {
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [],
});

/** What holds for manifests that readers could understand differently. */
function testOdd(release: Distribution): void {
  test('no manifest that shiplog takes is one that it cannot read, or of which it reads something else', async () => {
    await using ground = await onDisk();
    await using server = await startServer(ground.settings);
    const registry = new Api(server);
    const { config } = image();
    const { plain, refused } = odd(descriptor(config));
    await registry.blob('odd', config);
    await using peer = await release.start(ground);
    for (const [what, text] of [...Object.entries(plain), ...Object.entries(refused)]) {
      const manifest = blob('application/vnd.oci.image.manifest.v1+json', text);
      const path = `/v2/odd/manifests/${manifest.digest}`;
      const { status } = await registry.call('PUT', path, manifest.bytes, manifest.mediaType);
      expect(status, what).toBe(what in plain ? 201 : 400);
      if (status === 201) expect(await new Api(peer).find(path), what).toEqual(manifest);
    }
    const tree = await ground.read();
    await release.collect(ground);
    expect(taken(tree, await ground.read())).toEqual([]);
  });
}

/** What holds for what was pushed under sha512. `givesUp`: it stops at a second link to a layer that it took. */
function testSha512(release: Distribution, { givesUp }: { givesUp: boolean }): void {
  test('a layer that was pushed to it under sha512 it takes, and one that was pushed so to shiplog it does not', async () => {
    await using ground = await onDisk();
    await using server = await startServer(ground.settings);
    await using peer = await release.start(ground);
    const layers = new Map<string, string>();
    for (const [at, { url }] of Object.entries({ shiplog: server, itself: peer })) {
      const registry = new Api({ url });
      const {
        config,
        manifest,
        layers: [layer = config],
      } = image({ seed: at.length, layerSizes: [1000] });
      const digest = sha512(layer.bytes);
      await registry.blob(at, config);
      await registry.blob(at, layer, digest);
      const content = { ...JSON.parse(String(manifest.bytes)), layers: [{ ...descriptor(layer), digest }] };
      await registry.manifest(at, blob(manifest.mediaType, content), 'v1');
      layers.set(at, digest);
    }
    const collected = release.collect(ground);
    if (givesUp) await expect(collected).rejects.toThrow('failed to delete layer link');
    else await collected;
    const registry = new Api(server);
    expect(await registry.find(`/v2/shiplog/blobs/${layers.get('shiplog')}`)).toBeDefined();
    expect(await registry.find(`/v2/itself/blobs/${layers.get('itself')}`)).toBeUndefined();
  });
}

/** What `--delete-untagged` took: of the tagged ones those that lost some of what they name, and of the untagged any. */
async function deleteUntagged(release: Distribution): Promise<{ broken: string[]; lost: string[]; kept: string[] }> {
  await using ground = await onDisk();
  await using server = await startServer(ground.settings);
  const registry = new Api(server);
  const { untagged, subject } = await pushEverything(registry);
  const [tree, tags] = [await ground.read(), await registry.tags(name)];
  await release.collect(ground, '--delete-untagged');

  expect(taken(tree, await ground.read()).filter((path) => /_shiplog|\/current\//.test(path))).toEqual([]);
  expect(await registry.tags(name)).toEqual(tags);
  const broken: string[] = [];
  for (const tag of tags) if (!(await isWhole(registry, tag))) broken.push(tag);
  const [lost, kept]: [string[], string[]] = [[], []];
  for (const [what, { digest }] of Object.entries(untagged)) {
    ((await isWhole(registry, digest)) ? kept : lost).push(what);
  }
  // Referrers that are gone are not listed, though shiplog's own notes of them are still there.
  const referrers = Object.entries(untagged).filter(([what]) => what.startsWith('referrer') && kept.includes(what));
  expect(await registry.referrers(name, subject.digest)).toEqual(referrers.map(([, { digest }]) => digest));
  return { broken: broken.map((tag) => tag.replace(subject.digest.slice(7), 'SUBJECT')), lost, kept };
}

/** Whether a manifest and all that it names is served. */
async function isWhole(registry: Api, reference: string): Promise<boolean> {
  const found = await registry.find(`/v2/${name}/manifests/${reference}`);
  if (found === undefined) return false;
  const { config, layers = [], manifests = [] } = JSON.parse(String(found.bytes));
  for (const { mediaType, digest } of manifests) {
    const blob = !manifestTypes.includes(mediaType) && (await registry.find(`/v2/${name}/blobs/${digest}`));
    if (!blob && !(await isWhole(registry, digest))) return false;
  }
  for (const { digest, urls } of config === undefined ? [] : [config, ...layers]) {
    if (urls === undefined && (await registry.find(`/v2/${name}/blobs/${digest}`)) === undefined) return false;
  }
  return true;
}

describe('the garbage collector of registry:2 on a tree of shiplog', () => {
  testCollector(registry2, { open: onDisk, removesLinks: false });
  testOdd(registry2);
  testSha512(registry2, { givesUp: false });

  test('with --delete-untagged it takes all that has no tag of its own: referrers, and what an index lists', async () => {
    const { broken, kept } = await deleteUntagged(registry2);
    expect(broken).toEqual(['multi', 'nested', 'sha256-SUBJECT']);
    expect(kept).toEqual([]);
  });

  test('with --delete-untagged it gives up where a repository never had a tag', async () => {
    await using ground = await onDisk();
    await using server = await startServer(ground.settings);
    await new Api(server).image('untagged', image());
    await expect(registry2.collect(ground, '--delete-untagged')).rejects.toThrow('unknown repository name=untagged');
  });

  test('it takes the manifests of a repository that never had a blob', async () => {
    await using ground = await onDisk();
    await using server = await startServer(ground.settings);
    const registry = new Api(server);
    await registry.manifest('no/blobs', emptyIndex, 'v1');
    await registry2.collect(ground);
    expect(await registry.find('/v2/no/blobs/manifests/v1')).toBeUndefined();
  });
});

describe('the garbage collector of registry:3 on a tree of shiplog', () => {
  testCollector(registry3, { open: onDisk, removesLinks: true });
  testOdd(registry3);
  testSha512(registry3, { givesUp: true });

  test('with --delete-untagged it takes referrers, and what has no tag and is in no index', async () => {
    const { broken, lost, kept } = await deleteUntagged(registry3);
    expect(broken).toEqual([]);
    expect(kept).toEqual(['referrer under the fallback tag', 'child of an index', 'grandchild']);
    expect(lost).toEqual([
      'referrer',
      'referrer that is an index',
      'moved on from',
      'only by digest',
      'only by sha512',
    ]);
  });

  test('with --delete-untagged it takes the bytes, and leaves the links, where a repository never had a tag', async () => {
    await using ground = await onDisk();
    await using server = await startServer(ground.settings);
    const registry = new Api(server);
    const { manifest, ...one } = image();
    await registry.image('untagged', { manifest, ...one });
    await registry3.collect(ground, '--delete-untagged');
    expect(await registry.find(`/v2/untagged/manifests/${manifest.digest}`)).toBeUndefined();
  });

  test('it gives up where a repository never had a blob', async () => {
    await using ground = await onDisk();
    await using server = await startServer(ground.settings);
    await new Api(server).manifest('no/blobs', emptyIndex, 'v1');
    await expect(registry3.collect(ground)).rejects.toThrow('Path not found');
  });
});
