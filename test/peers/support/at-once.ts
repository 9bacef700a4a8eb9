import { afterAll, beforeAll, expect, test } from 'vitest';
import { blob, descriptor, image, index, sha512 } from '../../support/images.ts';
import { type Server, startServer } from '../../support/server.ts';
import { Api } from './api.ts';
import type { Distribution, Peer } from './distribution.ts';
import type { Ground } from './ground.ts';
import { oras } from './oras.ts';

/** What holds where a release of distribution and shiplog run on one ground at once. */
export function testAtOnce(
  release: Distribution,
  { open, deletesTags }: { open: () => Promise<Ground>; deletesTags: boolean },
): void {
  let ground: Ground;
  let server: Server;
  let peer: Peer;
  let ours: Api;
  let theirs: Api;
  beforeAll(async () => {
    ground = await open();
    server = await startServer(ground.settings);
    peer = await release.start(ground);
    [ours, theirs] = [new Api(server), new Api(peer)];
  });
  afterAll(async () => {
    await peer[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await ground[Symbol.asyncDispose]();
  });

  test.for(['shiplog', 'its neighbour'] as const)(
    'what %s finishes, the other serves on the next request',
    async (who) => {
      const [writer, reader] = who === 'shiplog' ? [ours, theirs] : [theirs, ours];
      const name = who === 'shiplog' ? 'ours' : 'theirs';
      const at = (reference: string): string => `/v2/${name}/manifests/${reference}`;
      const [one, other] = [image({ seed: 10 }), image({ seed: 11, kind: 'docker' })];

      // Each is asked for before it is there, so that nobody may remember that.
      expect(await reader.find(at('v1'))).toBeUndefined();
      expect(await reader.find(`/v2/${name}/blobs/${one.config.digest}`)).toBeUndefined();
      await writer.image(name, one, 'v1');
      expect(await reader.find(at('v1'))).toEqual(one.manifest);
      expect(await reader.find(at(one.manifest.digest))).toEqual(one.manifest);
      for (const { bytes, digest } of [one.config, ...one.layers]) {
        expect(await reader.find(`/v2/${name}/blobs/${digest}`)).toMatchObject({ bytes, digest });
      }
      expect(await reader.tags(name)).toEqual(['v1']);

      await writer.image(name, other, 'v2');
      const both = index([one, other]);
      await writer.manifest(name, both, 'all');
      expect(await reader.find(at('all'))).toEqual(both);
      expect(await reader.find(at(other.manifest.digest))).toEqual(other.manifest);

      await writer.manifest(name, other.manifest, 'v1');
      expect(await reader.find(at('v1'))).toEqual(other.manifest);
      // The one who read it last writes it.
      await reader.manifest(name, one.manifest, 'v1');
      expect(await writer.find(at('v1'))).toEqual(one.manifest);

      await writer.mount(`${name}/mounted`, one.config, name);
      expect(await reader.find(`/v2/${name}/mounted/blobs/${one.config.digest}`)).toMatchObject({
        bytes: one.config.bytes,
      });
      expect(await reader.find(`/v2/${name}/mounted/blobs/${other.config.digest}`)).toBeUndefined();

      await writer.deleteManifest(name, other.manifest.digest);
      expect(await reader.find(at(other.manifest.digest))).toBeUndefined();
      expect(await reader.find(at('v2'))).toBeUndefined();
      expect(await reader.tags(name)).toEqual(['all', 'v1']);

      await writer.deleteBlob(name, one.config);
      expect(await reader.find(`/v2/${name}/blobs/${one.config.digest}`)).toBeUndefined();
      await writer.blob(name, one.config);
      expect(await reader.find(`/v2/${name}/blobs/${one.config.digest}`)).toMatchObject({ bytes: one.config.bytes });
    },
  );

  test('a tag that its neighbour moves is there at any moment', async () => {
    const [one, other] = [image({ seed: 15 }), image({ seed: 16 })];
    for (const pushed of [one, other]) await theirs.image('moving', pushed, 'v1');
    const over = new AbortController();
    const move = async (): Promise<void> => {
      for (let turn = 0; turn < 100; turn += 1)
        await theirs.manifest('moving', (turn % 2 ? one : other).manifest, 'v1');
    };
    const look = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const { status } = await ours.call('HEAD', '/v2/moving/manifests/v1');
        expect(status).toBe(200);
        expect(await ours.tags('moving')).toEqual(['v1']);
      }
    };
    await Promise.all([move().finally(() => over.abort()), look(), look()]);
  });

  test('a tag that shiplog deletes is gone, and its manifest is not', async () => {
    const one = image({ seed: 20 });
    await ours.image('untagged', one, 'v1');
    await ours.manifest('untagged', one.manifest, 'v2');
    expect(await theirs.tags('untagged')).toEqual(['v1', 'v2']);
    await ours.deleteManifest('untagged', 'v1');
    expect(await theirs.find('/v2/untagged/manifests/v1')).toBeUndefined();
    expect(await theirs.tags('untagged')).toEqual(['v2']);
    expect(await theirs.find(`/v2/untagged/manifests/${one.manifest.digest}`)).toEqual(one.manifest);
  });

  test(`a tag can${deletesTags ? '' : 'not'} be deleted alone at its neighbour`, async () => {
    const one = image({ seed: 21 });
    await ours.image('tagged', one, 'v1');
    const { status } = await theirs.call('DELETE', '/v2/tagged/manifests/v1');
    expect(status).toBe(deletesTags ? 202 : 400);
    expect(await ours.tags('tagged')).toEqual(deletesTags ? [] : ['v1']);
    expect(await ours.find(`/v2/tagged/manifests/${one.manifest.digest}`)).toEqual(one.manifest);
  });

  test('with its cache on, it goes on to serve what shiplog deleted', async () => {
    await using caching = await release.start(ground, { cache: true });
    const { config } = image({ seed: 22 });
    await ours.blob('cached', config);
    for (const [registry, stale] of [
      [new Api(caching), true],
      [theirs, false],
    ] as const) {
      expect(await registry.find(`/v2/cached/blobs/${config.digest}`)).toBeDefined();
      await ours.deleteBlob('cached', config);
      expect((await registry.find(`/v2/cached/blobs/${config.digest}`)) !== undefined).toBe(stale);
      await ours.blob('cached', config);
    }
  });

  test('what was pushed to it under sha512 is served under that, and under sha256', async () => {
    const { config, layers, manifest } = image({ seed: 30, layerSizes: [1000] });
    const [layer = config] = layers;
    const alias = sha512(layer.bytes);
    await theirs.blob('aliased', config);
    await theirs.blob('aliased', layer, alias);
    for (const digest of [alias, layer.digest]) {
      expect(await ours.find(`/v2/aliased/blobs/${digest}`)).toMatchObject({ digest, bytes: layer.bytes });
    }
    const named = blob(manifest.mediaType, {
      ...JSON.parse(String(manifest.bytes)),
      layers: [{ ...descriptor(layer), digest: alias }],
    });
    await theirs.manifest('aliased', named, 'v1');
    expect(await ours.find('/v2/aliased/manifests/v1')).toEqual(named);
    // What lies there under an alias is good enough for an image of ours.
    await ours.manifest('aliased', named, 'v2');
    expect(await theirs.find('/v2/aliased/manifests/v2')).toEqual(named);
  });

  test('what was pushed to shiplog under sha512 is served under that alone', async () => {
    const { config, layers, manifest } = image({ seed: 31, layerSizes: [1000] });
    const [layer = config] = layers;
    const digest = sha512(layer.bytes);
    await ours.blob('native', config);
    await ours.blob('native', layer, digest);
    const named = blob(manifest.mediaType, {
      ...JSON.parse(String(manifest.bytes)),
      layers: [{ ...descriptor(layer), digest }],
    });
    await ours.manifest('native', named, 'v1');
    const again = { ...named, digest: sha512(named.bytes) };
    await ours.manifest('native', again, `${again.digest}?tag=v2`);
    expect(await theirs.find('/v2/native/manifests/v1')).toEqual(named);
    for (const reference of ['v2', again.digest]) {
      expect(await theirs.find(`/v2/native/manifests/${reference}`)).toEqual(again);
    }
    expect(await theirs.find(`/v2/native/blobs/${digest}`)).toMatchObject({ digest, bytes: layer.bytes });
    expect(await theirs.find(`/v2/native/blobs/${layer.digest}`)).toBeUndefined();
  });

  test('what clients attach there, under a tag of their own, is listed among the referrers while it is there', async () => {
    await using client = await oras.start();
    const one = image({ seed: 40 });
    const { digest } = one.manifest;
    await theirs.image('attached', one, 'v1');
    await client.attach?.(`${peer.host}/attached:v1`);
    const tag = digest.replace(':', '-');
    expect(await ours.tags('attached')).toEqual([tag, 'v1']);
    const [note = '', ...others] = await ours.referrers('attached', digest);
    expect(others).toEqual([]);
    expect(await client.discover?.(`127.0.0.1:${server.httpPort}/attached:v1`)).toEqual([note]);

    const referrer = image({ seed: 41, manifest: { subject: descriptor(one.manifest) } });
    await ours.image('attached', referrer);
    expect(await ours.referrers('attached', digest)).toEqual([note, referrer.manifest.digest].toSorted());
    // It serves what refers to the image, and does not know that it does.
    expect(await theirs.find(`/v2/attached/manifests/${referrer.manifest.digest}`)).toEqual(referrer.manifest);
    expect(await client.discover?.(`${peer.host}/attached:v1`)).toEqual([note]);

    await theirs.deleteManifest('attached', note);
    expect(await ours.referrers('attached', digest)).toEqual([referrer.manifest.digest]);
  });
}
