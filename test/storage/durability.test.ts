import { describe, expect, test } from 'vitest';
import { parseDigest } from '../../storage/digest.ts';
import { blobKey, layerLink, tagLink } from '../../storage/layout.ts';
import { parseName, parseTag } from '../../storage/names.ts';
import { type Call, FaultyFileSystem, type Verdict } from '../support/faulty-fs.ts';
import { body, descriptor, image, pushBlob, pushImage } from '../support/images.ts';
import { changing, faults, type Promises, root, runUntil, type Scenario, storeOn } from './power-cut.ts';

const one = image({ seed: 1, layerSizes: [1500] });
const two = image({ seed: 2, layerSizes: [], kind: 'docker' });
const three = image({ seed: 3, layerSizes: [] });
const signature = image({ seed: 4, layerSizes: [], manifest: { subject: descriptor(two.manifest) } });

/** Writes a key as registry:2 does: it syncs nothing. */
async function writeBeside(files: FaultyFileSystem, key: string, content: Uint8Array): Promise<void> {
  const path = `${root}/${key}`;
  const directory = path.slice(0, path.lastIndexOf('/'));
  await files.mkdir(directory, { recursive: true });
  const handle = await files.open(`${directory}/beside.tmp`, 'w');
  await handle.writev([content], 0);
  await handle.close();
  await files.rename(`${directory}/beside.tmp`, path);
}

const scenarios: Record<string, Scenario> = {
  /** As containerd does it: each blob in one request; then the tag moves. */
  push: async (files, promises) => {
    await using store = await storeOn(files);
    await changing(promises, ['team/web v1', `team/web ${one.manifest.digest}`], one, () =>
      pushImage(store, 'team/web', one, 'v1'),
    );
    await changing(promises, ['team/web v1'], two, () => pushImage(store, 'team/web', two, 'v1'));
  },

  /** As the classic Docker client does it: each blob in one request, and an empty one to end it. */
  pieces: async (files, promises) => {
    await using store = await storeOn(files);
    await changing(promises, ['a v1'], one, async () => {
      await pushBlob(store, 'a', one.config);
      const [layer = one.config] = one.layers;
      const { id } = await store.uploads.create('a');
      await store.uploads.append('a', id, body(layer.bytes.subarray(0, 700)));
      await store.uploads.append('a', id, body(layer.bytes.subarray(700)));
      await store.uploads.commit('a', id, layer.digest, undefined);
      await store.manifests.put('a', 'v1', one.manifest.bytes);
    });
    await changing(promises, ['b v1'], one, async () => {
      for (const { digest } of [one.config, ...one.layers])
        await store.blobs.mount('b', digest, { from: 'a', mayRead: () => true });
      await store.manifests.put('b', 'v1', one.manifest.bytes);
    });
  },

  /** Another process wrote blobs and links, and synced nothing. */
  beside: async (files, promises) => {
    await using store = await storeOn(files);
    for (const { digest, bytes } of [two.config, ...two.layers]) {
      await writeBeside(files, blobKey(parseDigest(digest)), bytes);
      await writeBeside(files, layerLink(parseName('a'), parseDigest(digest)), Buffer.from(digest));
    }
    await changing(promises, ['a v1'], two, () => store.manifests.put('a', 'v1', two.manifest.bytes));
  },

  /** Another process has let a tag point elsewhere, when the manifest is deleted that it pointed to. */
  moved: async (files, promises) => {
    await using store = await storeOn(files);
    await changing(promises, ['a v1'], two, () => pushImage(store, 'a', two, 'v1'));
    await changing(promises, ['a v2'], three, () => pushImage(store, 'a', three, 'v2'));
    const [name, tag, digest] = [parseName('a'), parseTag('v1'), parseDigest(three.manifest.digest)];
    await changing(promises, ['a v1'], three, async () => {
      await store.manifests.put('a', 'v1', three.manifest.bytes);
      await store.manifests.put('a', 'v1', two.manifest.bytes);
      // A power cut ahead of the deletion may empty what nobody has synced.
      promises.set('a v1', [two, three, undefined]);
      await writeBeside(files, tagLink(name, tag), Buffer.from(digest));
      await store.manifests.delete('a', two.manifest.digest);
    });
  },

  /** What another repository has is named by a manifest, which is put under several tags. */
  borrowed: async (files, promises) => {
    await using store = await storeOn(files);
    await changing(promises, ['a v1'], two, () => pushImage(store, 'a', two, 'v1'));
    await changing(promises, ['b v1', 'b v2', `b ${two.manifest.digest}`], two, () =>
      store.manifests.put('b', two.manifest.digest, two.manifest.bytes, { tags: ['v1', 'v2'], mayRead: () => true }),
    );
  },

  referrers: async (files, promises) => {
    await using store = await storeOn(files);
    const { digest } = signature.manifest;
    await changing(promises, [`a ${digest}`], signature, () => pushImage(store, 'a', signature));
    await changing(promises, [`a ${digest}`], undefined, () => store.manifests.delete('a', digest));
    await changing(promises, [`a ${digest}`], signature, () =>
      store.manifests.put('a', digest, signature.manifest.bytes),
    );
  },

  deletes: async (files, promises) => {
    await using store = await storeOn(files);
    await changing(promises, ['a v1', `a ${two.manifest.digest}`], two, () => pushImage(store, 'a', two, 'v1'));
    for (const tag of ['v2', 'v3']) {
      await changing(promises, [`a ${tag}`], two, () => store.manifests.put('a', tag, two.manifest.bytes));
    }
    await changing(promises, ['a v1'], undefined, () => store.tags.delete('a', 'v1'));
    const { digest } = two.manifest;
    await changing(promises, ['a v2', 'a v3', `a ${digest}`], undefined, () => store.manifests.delete('a', digest));
  },
};

interface Cut {
  readonly seed?: number;
  readonly loseAll?: boolean;
  readonly verdict?: (call: Call) => Verdict;
}

/** Runs a scenario with a power cut before a call; what is wrong afterwards. */
async function cut(scenario: Scenario, stop: number, options: Cut): Promise<string[]> {
  const promises: Promises = new Map();
  const files = new FaultyFileSystem({ seed: options.seed ?? 1 });
  const after = await runUntil(files, stop, () => scenario(files, promises), options);
  return faults(after, promises);
}

/** The calls that a scenario makes, and those before which something has just been promised. */
async function callsOf(scenario: Scenario): Promise<{ calls: Call[]; promised: number[] }> {
  const files = new FaultyFileSystem();
  const calls: Call[] = [];
  files.before((call) => void calls.push(call));
  const promised: number[] = [];
  const promises: Promises = new Map();
  const set = promises.set.bind(promises);
  promises.set = (place, allowed) => {
    promised.push(calls.length + 1);
    return set(place, allowed);
  };
  await scenario(files, promises);
  return { calls, promised };
}

/** The calls ahead of which it matters when the power goes: what was changed is seen ahead of the next of them. */
const changes = new Set(['writev', 'truncate', 'datasync', 'dirsync', 'mkdir', 'rename', 'unlink', 'rmdir']);

function stopsOf(calls: readonly Call[]): number[] {
  return [...calls.filter(({ op }) => changes.has(op)).map(({ number }) => number), calls.length + 1];
}

/** What of a call's path does not depend on chance. */
function site({ op, path }: Call): string {
  const kind = path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, '<uuid>').replace(/[0-9a-f]{64}/g, '<hex>');
  return `${op} ${kind.replace(/\/[0-9a-f]{2}(?=\/|$)/, '/<xx>')}`;
}

for (const [name, scenario] of Object.entries(scenarios)) {
  describe(name, () => {
    test('what was promised survives a power cut at any step, though all that was not synced is lost', async () => {
      for (const stop of stopsOf((await callsOf(scenario)).calls)) {
        expect(await cut(scenario, stop, { loseAll: true }), `before call ${stop}`).toEqual([]);
      }
    });

    test('what was promised survives a power cut at any step, with some of the rest kept or torn', async () => {
      for (const stop of stopsOf((await callsOf(scenario)).calls)) {
        expect(await cut(scenario, stop, { seed: stop }), `before call ${stop}`).toEqual([]);
      }
    });

    test('no sync can be left out: without it, a power cut breaks a promise', async () => {
      const { calls, promised } = await callsOf(scenario);
      const syncs = calls.filter(({ op }) => op === 'datasync' || op === 'dirsync');
      const stops = new Set([...promised.toReversed(), ...stopsOf(calls)]);
      const unnoticed = new Set<string>();
      for (const left of new Set(syncs.map(site))) {
        const verdict = (call: Call): Verdict => (site(call) === left ? 'ignore' : undefined);
        let noticed = false;
        for (const stop of stops) {
          noticed = (await cut(scenario, stop, { loseAll: true, verdict })).length > 0;
          if (noticed) break;
        }
        if (!noticed) unnoticed.add(left);
      }
      expect([...unnoticed]).toEqual([]);
    });
  });
}
