import type { Bench, Contestant } from '../frame/bench.ts';
import { load, type LoadResult } from '../load.ts';
import { growthBenches } from './growth.ts';
import { latency } from './latency.ts';
import { nginxBenches } from './nginx.ts';
import { s3Benches } from './s3.ts';
import { type Registry, registries } from './servers.ts';
import {
  asking,
  atLeast,
  contestants,
  KiB,
  largeLayer,
  manyLayers,
  MiB,
  nothing,
  perSecond,
  prepareImages,
  pulling,
  pushing,
  putTags,
  rounds,
  smallImages,
} from './work.ts';

const [mostTags, mostRepositories] = [2000, 1000] as const;

/** One small image, and `tags/list` as many times as there are tags that point to it. */
async function prepareTags(registry: Registry): Promise<LoadResult> {
  const image = await prepareImages({ images: 1, 'layer-size': KiB, 'at-once': 1 })(registry);
  await putTags(
    registry,
    image,
    Array.from({ length: mostTags }, (_, place) => tagName(place)),
  );
  return image;
}

function tagName(place: number): string {
  return `v${String(place).padStart(5, '0')}`;
}

/** As many repositories as there are, each of the same image. */
async function prepareRepositories({ url }: Registry): Promise<LoadResult> {
  return load('mount', { url, from: 'bench', repository: 'made', images: mostRepositories, 'at-once': 8 });
}

function pages(path: string, entries: number, nameOf: (place: number) => string): string[] {
  return Array.from({ length: entries / 100 }, (_, page) => {
    const last = page === 0 ? '' : `&last=${nameOf(page * 100 - 1)}`;
    return `GET ${path}?n=100${last} 200`;
  });
}

const [atOnce, requests] = [16, () => ['GET /v2/ 200']] as const;
const ping = asking(
  { name: 'ping', title: 'GET /v2/, 16 at once', goals: atLeast(1.5) },
  { 'at-once': atOnce, requests },
);
const withoutUsers = 'shiplog, no users';
const pingUsers = asking(
  {
    name: 'ping-users',
    title: 'GET /v2/ with a password, 16 at once',
    registry: { users: true },
    goals: [{ than: withoutUsers, ratio: 0.8 }],
  },
  { 'at-once': atOnce, requests },
);

/** How shiplog is started for a load. */
function start({ contestants }: Bench): () => Promise<Contestant> {
  const [shiplog] = contestants.values();
  if (shiplog === undefined) throw new Error('a load has no contestants');
  return shiplog;
}

/** The loads of a registry. */
export const registryBenches: readonly Bench[] = [
  pushing({ name: 'push-images', title: 'small images pushed', goals: atLeast(3) }, 'images/s', smallImages),
  pushing({ name: 'push-1m', title: '1 MiB layers pushed, 4 at once', goals: atLeast(2.5) }, 'MB/s', {
    images: 100,
    'layer-size': MiB,
    'at-once': 4,
  }),
  pushing({ name: 'push-512m', title: 'a layer of 512 MiB pushed', goals: atLeast(1.5) }, 'MB/s', {
    images: 1,
    'layer-size': 512 * MiB,
    'at-once': 1,
  }),
  pushing({ name: 'push-4x256m', title: 'layers of 256 MiB pushed, 4 at once', goals: atLeast(1) }, 'MB/s', {
    images: 4,
    'layer-size': 256 * MiB,
    'at-once': 4,
  }),
  pulling({ name: 'pull-1m', title: '1 MiB layers pulled, 8 at once', goals: atLeast(2) }, manyLayers),
  pulling({ name: 'pull-512m', title: 'a layer of 512 MiB pulled', goals: atLeast(0.9) }, largeLayer),
  ...nginxBenches,
  asking(
    { name: 'head-blob', title: 'HEAD of a blob', goals: atLeast(2) },
    {
      prepare: prepareImages(smallImages),
      requests: (pushed) => (pushed?.blobs ?? []).map((digest) => `HEAD /v2/bench/blobs/${digest} 200`),
    },
  ),
  asking(
    { name: 'get-tag', title: 'GET of a manifest by tag', goals: atLeast(2) },
    {
      prepare: prepareImages(smallImages),
      requests: (pushed) => (pushed?.manifests ?? []).map((_, place) => `GET /v2/bench/manifests/t-${place} 200`),
    },
  ),
  asking(
    { name: 'head-digest', title: 'HEAD of a manifest by digest', goals: atLeast(2) },
    {
      prepare: prepareImages(smallImages),
      requests: (pushed) => (pushed?.manifests ?? []).map((digest) => `HEAD /v2/bench/manifests/${digest} 200`),
    },
  ),
  {
    name: 'put-tags',
    title: '2,000 tags put',
    unit: 'tags/s',
    better: 'more',
    operation: 'tag',
    rounds,
    goals: atLeast(2),
    contestants: contestants({
      prepare: prepareImages({ images: 1, 'layer-size': KiB, 'at-once': 1 }),
      async round(registry, image, number) {
        const each = mostTags / (rounds + 1);
        const tags = Array.from({ length: each }, (_, place) => tagName(number * each + place));
        return perSecond(await putTags(registry, image, tags));
      },
    }),
  },
  asking(
    { name: 'list-tags-100', title: '2,000 tags listed by 100', goals: atLeast(4) },
    { prepare: prepareTags, requests: () => pages('/v2/bench/tags/list', mostTags, tagName) },
  ),
  asking(
    { name: 'list-tags-all', title: '2,000 tags listed at once', goals: atLeast(4) },
    { prepare: prepareTags, requests: () => ['GET /v2/bench/tags/list 200'] },
  ),
  {
    name: 'delete-manifest',
    title: 'a manifest deleted among 2,000 tags',
    unit: 'manifests/s',
    better: 'more',
    operation: 'manifest',
    rounds,
    goals: [],
    contestants: contestants({
      prepare: prepareTags,
      async round({ url }, _, number) {
        const images = { url, seed: number + 2, tag: 'go', images: 10, 'layer-size': KiB, 'at-once': 4 };
        const { manifests = [] } = await load('push', images);
        const requests = manifests.map((digest) => `DELETE /v2/bench/manifests/${digest} 202`).join('\n');
        return perSecond(await load('requests', { url, count: manifests.length }, requests));
      },
    }),
  },
  {
    name: 'mount',
    title: '1,000 repositories made by mounts',
    unit: 'repositories/s',
    better: 'more',
    operation: 'repository',
    rounds,
    goals: atLeast(2),
    contestants: contestants({
      prepare: nothing,
      async round({ url }, _, number) {
        const [images, names] = [
          mostRepositories / (rounds + 1),
          { from: `from-${number}`, repository: `to-${number}` },
        ];
        return perSecond(await load('mount', { url, seed: number + 1, images, 'at-once': 8, ...names }));
      },
    }),
  },
  asking(
    { name: 'catalog', title: '1,000 repositories listed by 100', goals: atLeast(4) },
    {
      prepare: prepareRepositories,
      requests: () => pages('/v2/_catalog', mostRepositories, (place) => `made/${String(place).padStart(5, '0')}`),
    },
  ),
  ping,
  // Peers ask bcrypt each time; shiplog is measured beside itself without users.
  { ...pingUsers, contestants: new Map([...pingUsers.contestants, [withoutUsers, start(ping)]]) },
  ...growthBenches,
  latency,
  ...s3Benches,
  {
    name: 'start',
    title: 'start until the first answer',
    unit: 'ms',
    better: 'less',
    rounds,
    goals: [{ most: 500 }],
    contestants: new Map(
      Array.from(registries, ([name, start]) => [
        name,
        async (): Promise<Contestant> => ({
          pids: () => [],
          async round() {
            await using registry = await start();
            return { value: registry.startedIn, operations: 1 };
          },
          [Symbol.asyncDispose]: nothing,
        }),
      ]),
    ),
  },
];
