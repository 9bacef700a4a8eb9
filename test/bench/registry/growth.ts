import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseDigest } from '../../../storage/digest.ts';
import { layerLink, revisionLink, tagIndexLink, tagLink } from '../../../storage/layout.ts';
import { parseName, parseTag } from '../../../storage/names.ts';
import { parallel } from '../../../storage/parallel.ts';
import type { Bench, Round } from '../frame/bench.ts';
import { load, type LoadResult } from '../load.ts';
import { type Registry, shiplog } from './servers.ts';
import { contestant, KiB, perSecond, prepareImages, putTags, rounds } from './work.ts';

/** Tags of one repository, and as many repositories beside it. */
const [few, many] = [10, 10_000] as const;

const places = Array.from({ length: few }).keys().toArray();

/** At most so many times the CPU is used with many as with few. */
const goals = [{ than: `shiplog, ${few}`, cpuRatio: 1.3 }] as const;

/** Pushes an image, and then makes its tags and repositories as another program on the same folder would do it. */
async function prepare({ root = '', url }: Registry, count: number): Promise<LoadResult> {
  const image = await prepareImages({ images: 1, 'layer-size': KiB, 'at-once': 1 })({ url });
  const [blob, manifest] = [parseDigest(image.blobs?.[0] ?? ''), parseDigest(image.manifests?.[0] ?? '')];
  const link = async (key: string, digest: string): Promise<void> => {
    const path = join(root, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, digest);
  };
  await parallel(Array.from({ length: count }).keys(), 16, async (place) => {
    const [name, tag] = [parseName('bench'), parseTag(`v${place}`)];
    await link(tagIndexLink(name, tag, manifest), manifest);
    await link(tagLink(name, tag), manifest);
    const other = parseName(`other/${place}`);
    await link(layerLink(other, blob), blob);
    await link(revisionLink(other, manifest), manifest);
    await link(tagLink(other, tag), manifest);
  });
  return image;
}

function growing(
  name: string,
  title: string,
  round: (registry: Registry, image: LoadResult, number: number) => Promise<Round>,
): Bench {
  const start = (count: number) => () =>
    contestant(shiplog, { prepare: (registry) => prepare(registry, count), round });
  return {
    name: `growth-${name}`,
    title: `${title}, among 10,000 tags and repositories or 10`,
    unit: 'requests/s',
    better: 'more',
    operation: 'request',
    rounds,
    goals,
    contestants: new Map([
      ['shiplog', start(many)],
      [`shiplog, ${few}`, start(few)],
    ]),
  };
}

async function ask({ url }: Registry, requests: readonly string[]): Promise<Round> {
  return perSecond(await load('requests', { url, 'at-once': 8 }, requests.join('\n')));
}

/** What must cost the same, however many tags and repositories there are. */
export const growthBenches: readonly Bench[] = [
  growing('head-blob', 'HEAD of a blob', (registry, image) =>
    ask(
      registry,
      places.map((place) => `HEAD /v2/other/${place}/blobs/${image.blobs?.[0]} 200`),
    ),
  ),
  growing('get-tag', 'GET of a manifest by tag', (registry) =>
    ask(
      registry,
      places.map((place) => `GET /v2/bench/manifests/v${place} 200`),
    ),
  ),
  growing('put-tags', '200 tags put', async (registry, image, number) => {
    const tags = Array.from({ length: 200 }, (_, place) => `new-${number}-${place}`);
    return perSecond(await putTags(registry, image, tags));
  }),
];
