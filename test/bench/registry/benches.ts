import type { Bench, Contestant, Goal, Round } from '../frame/bench.ts';
import { load, type LoadResult } from '../load.ts';
import { type Registry, type RegistryOptions, registries } from './servers.ts';

const [KiB, MiB] = [1024, 1024 * 1024] as const;

/** Measured rounds of a load. */
const rounds = 3;

/** What a load does: `prepare` ahead of the first round, whose result each round is given. */
interface Work<T> {
  readonly options?: RegistryOptions;
  prepare(this: void, registry: Registry): Promise<T>;
  round(this: void, registry: Registry, prepared: T, number: number): Promise<Round>;
}

function contestants<T>({ options, prepare, round }: Work<T>): Bench['contestants'] {
  const start = async (open: (options?: RegistryOptions) => Promise<Registry>): Promise<Contestant> => {
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(await open(options));
    const prepared = await prepare(registry);
    const parts = stack.move();
    return {
      pid: registry.pid,
      round: (number) => round(registry, prepared, number),
      [Symbol.asyncDispose]: () => parts.disposeAsync(),
    };
  };
  return new Map(Array.from(registries, ([name, open]) => [name, () => start(open)]));
}

const nothing = async (): Promise<void> => undefined;

function perSecond({ operations, seconds, cpu }: LoadResult): Round {
  return { value: operations / seconds, operations, loadCores: cpu / seconds };
}

function megabytes({ operations, bytes, seconds, cpu }: LoadResult): Round {
  return { value: bytes / 1e6 / seconds, operations, loadCores: cpu / seconds };
}

/** How images are pushed. */
interface Images {
  readonly images: number;
  readonly layers?: number;
  readonly 'layer-size': number;
  readonly 'config-size'?: number;
  readonly 'at-once': number;
}

interface Described {
  readonly name: string;
  readonly title: string;
  readonly goals: readonly Goal[];
  readonly storage?: 'disk' | 's3';
}

function pushing({ storage = 'disk', ...bench }: Described, unit: 'images/s' | 'MB/s', images: Images): Bench {
  return {
    ...bench,
    unit,
    better: 'more',
    operation: 'image',
    rounds,
    contestants: contestants({
      options: { storage },
      prepare: nothing,
      async round({ url }, _, number) {
        const done = await load('push', { url, seed: number + 1, repository: `push-${number}`, ...images });
        return unit === 'MB/s' ? megabytes(done) : perSecond(done);
      },
    }),
  };
}

/** A load of requests for what was pushed ahead of it. */
function asking(
  { storage = 'disk', ...bench }: Described,
  how: {
    readonly unit?: 'MB/s' | 'requests/s';
    readonly operation?: string;
    readonly 'at-once'?: number;
    readonly users?: boolean;
    /** Absent: for a second. */
    readonly count?: number;
    prepare?(registry: Registry): Promise<LoadResult>;
    requests(pushed: LoadResult | undefined): readonly string[];
  },
): Bench {
  const { unit = 'requests/s', operation = 'request', users = false, count = 0, 'at-once': atOnce = 8 } = how;
  return {
    ...bench,
    unit,
    better: 'more',
    operation,
    rounds,
    contestants: contestants({
      options: { storage, users },
      prepare: async (registry) => how.requests(await how.prepare?.(registry)).join('\n'),
      async round({ url }, input) {
        const done = await load('requests', { url, 'at-once': atOnce, count }, input);
        return unit === 'MB/s' ? megabytes(done) : perSecond(done);
      },
    }),
  };
}

const prepareImages =
  (images: Images) =>
  ({ url }: Registry): Promise<LoadResult> =>
    load('push', { url, ...images });

const smallImages = { images: 100, layers: 3, 'layer-size': 64 * KiB, 'config-size': 2 * KiB, 'at-once': 8 } as const;
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

async function putTags({ url }: Registry, image: LoadResult, tags: readonly string[]): Promise<LoadResult> {
  const [digest = ''] = image.manifests ?? [];
  const answer = await fetch(new URL(`/v2/bench/manifests/${digest}`, url), { headers: { accept: manifestType } });
  const requests = tags.map((tag) => `PUT /v2/bench/manifests/${tag} 201`).join('\n');
  return load('requests', { url, 'at-once': 8, count: tags.length, body: await answer.text() }, requests);
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json';

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

const atLeast = (ratio: number): Goal[] => [{ than: 'registry:3', ratio }];

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
  asking(
    { name: 'pull-1m', title: '1 MiB layers pulled, 8 at once', goals: atLeast(2) },
    {
      unit: 'MB/s',
      operation: 'layer',
      prepare: prepareImages({ images: 16, 'layer-size': MiB, 'at-once': 4 }),
      requests: (pushed) => (pushed?.blobs ?? []).map((digest) => `GET /v2/bench/blobs/${digest} 200`),
    },
  ),
  asking(
    { name: 'pull-512m', title: 'a layer of 512 MiB pulled', goals: atLeast(0.9) },
    {
      unit: 'MB/s',
      operation: 'layer',
      'at-once': 1,
      count: 1,
      prepare: prepareImages({ images: 1, 'layer-size': 512 * MiB, 'at-once': 1 }),
      requests: (pushed) => (pushed?.blobs ?? []).map((digest) => `GET /v2/bench/blobs/${digest} 200`),
    },
  ),
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
  asking(
    { name: 'ping', title: 'GET /v2/, 16 at once', goals: atLeast(1.5) },
    { 'at-once': 16, requests: () => ['GET /v2/ 200'] },
  ),
  asking(
    { name: 'ping-users', title: 'GET /v2/ with a password, 16 at once', goals: [] },
    { 'at-once': 16, users: true, requests: () => ['GET /v2/ 200'] },
  ),
  pushing({ name: 's3-push-images', title: 'S3: small images pushed', storage: 's3', goals: [] }, 'images/s', {
    ...smallImages,
    images: 16,
  }),
  pushing(
    { name: 's3-push-1m', title: 'S3: 1 MiB layers pushed, 4 at once', storage: 's3', goals: atLeast(2) },
    'MB/s',
    {
      images: 24,
      'layer-size': MiB,
      'at-once': 4,
    },
  ),
  pushing({ name: 's3-push-512m', title: 'S3: a layer of 512 MiB pushed', storage: 's3', goals: atLeast(2) }, 'MB/s', {
    images: 1,
    'layer-size': 512 * MiB,
    'at-once': 1,
  }),
  asking(
    { name: 's3-pull-1m', title: 'S3: 1 MiB layers pulled, 8 at once', storage: 's3', goals: [] },
    {
      unit: 'MB/s',
      operation: 'layer',
      prepare: prepareImages({ images: 16, 'layer-size': MiB, 'at-once': 4 }),
      requests: (pushed) => (pushed?.blobs ?? []).map((digest) => `GET /v2/bench/blobs/${digest} 200`),
    },
  ),
  asking(
    { name: 's3-pull-512m', title: 'S3: a layer of 512 MiB pulled', storage: 's3', goals: [] },
    {
      unit: 'MB/s',
      operation: 'layer',
      'at-once': 1,
      count: 1,
      prepare: prepareImages({ images: 1, 'layer-size': 512 * MiB, 'at-once': 1 }),
      requests: (pushed) => (pushed?.blobs ?? []).map((digest) => `GET /v2/bench/blobs/${digest} 200`),
    },
  ),
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
          pid: () => undefined,
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
