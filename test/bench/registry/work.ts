import type { Aim, Bench, Contestant, Goal, Round } from '../frame/bench.ts';
import { load, type LoadResult } from '../load.ts';
import { type Registry, type RegistryOptions, registries, type StartRegistry } from './servers.ts';

export const [KiB, MiB] = [1024, 1024 * 1024] as const;

/** Measured rounds of a load. */
export const rounds = 3;

/** How long requests are sent ahead of the measured rounds, in s: what compiles as it runs is measured as it runs. */
const warmUp = 3;

/** What a load does: `prepare` ahead of the first round, whose result each round is given. */
interface Work<T> {
  prepare(this: void, registry: Registry): Promise<T>;
  round(this: void, registry: Registry, prepared: T, number: number): Promise<Round>;
}

/** Starts one that does a load. */
export async function contestant<T>(
  open: StartRegistry,
  { prepare, round }: Work<T>,
  options?: RegistryOptions,
): Promise<Contestant> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await open(options));
  const prepared = await prepare(registry);
  const parts = stack.move();
  return {
    pids: registry.pids,
    round: (number) => round(registry, prepared, number),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** shiplog and its peers, which all do the same. */
export function contestants<T>(work: Work<T>, options?: RegistryOptions): Map<string, () => Promise<Contestant>> {
  return new Map(Array.from(registries, ([name, open]) => [name, () => contestant(open, work, options)]));
}

export const nothing = async (): Promise<void> => undefined;

export function perSecond({ operations, seconds, cpu }: LoadResult): Round {
  return { value: operations / seconds, operations, loadCores: cpu / seconds };
}

export function megabytes({ operations, bytes, seconds, cpu }: LoadResult): Round {
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

/** A load, and how the registries are started that it goes to. */
interface Described {
  readonly name: string;
  readonly title: string;
  readonly goals: readonly Goal[];
  readonly registry?: RegistryOptions;
}

export function pushing({ registry, ...bench }: Described, unit: 'images/s' | 'MB/s', images: Images): Bench {
  return {
    ...bench,
    unit,
    better: 'more',
    operation: 'image',
    rounds,
    contestants: contestants(
      {
        prepare: nothing,
        async round({ url }, _, number) {
          const done = await load('push', { url, seed: number + 1, repository: `push-${number}`, ...images });
          return unit === 'MB/s' ? megabytes(done) : perSecond(done);
        },
      },
      registry,
    ),
  };
}

/** A load of requests for what was pushed ahead of it. */
export function asking(
  { registry, ...bench }: Described,
  how: {
    readonly unit?: 'MB/s' | 'requests/s';
    readonly operation?: string;
    readonly 'at-once'?: number;
    /** Absent: for a second. */
    readonly count?: number;
    prepare?(registry: Registry): Promise<LoadResult>;
    requests(pushed: LoadResult | undefined): readonly string[];
  },
): Bench {
  const { unit = 'requests/s', operation = 'request', count = 0, 'at-once': atOnce = 8 } = how;
  return {
    ...bench,
    unit,
    better: 'more',
    operation,
    rounds,
    contestants: contestants(
      {
        prepare: async (registry) => how.requests(await how.prepare?.(registry)).join('\n'),
        async round({ url }, input, number) {
          const seconds = number === 0 ? warmUp : 1;
          const done = await load('requests', { url, 'at-once': atOnce, count, seconds }, input);
          return unit === 'MB/s' ? megabytes(done) : perSecond(done);
        },
      },
      registry,
    ),
  };
}

export const prepareImages =
  (images: Images) =>
  ({ url }: Pick<Registry, 'url'>): Promise<LoadResult> =>
    load('push', { url, ...images });

/** Has tags put that point to an image. */
export async function putTags({ url }: Registry, image: LoadResult, tags: readonly string[]): Promise<LoadResult> {
  const [digest = ''] = image.manifests ?? [];
  const answer = await fetch(new URL(`/v2/bench/manifests/${digest}`, url), { headers: { accept: manifestType } });
  const requests = tags.map((tag) => `PUT /v2/bench/manifests/${tag} 201`).join('\n');
  return load('requests', { url, 'at-once': 8, count: tags.length, body: await answer.text() }, requests);
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json';

/** Layers of a size pulled, as often as can be done in a second; a single one once. */
export function pulling(described: Described, layers: { count: number; size: number; atOnce: number }): Bench {
  const { count, size, atOnce } = layers;
  return asking(described, {
    unit: 'MB/s',
    operation: 'layer',
    'at-once': atOnce,
    ...(count === 1 && { count }),
    prepare: prepareImages({ images: count, 'layer-size': size, 'at-once': 4 }),
    requests: (pushed) => (pushed?.blobs ?? []).map((digest) => `GET /v2/bench/blobs/${digest} 200`),
  });
}

/** 16 layers of 1 MiB, 8 at once. */
export const manyLayers = { count: 16, size: MiB, atOnce: 8 } as const;

/** One of 512 MiB. */
export const largeLayer = { count: 1, size: 512 * MiB, atOnce: 1 } as const;

export const smallImages = {
  images: 100,
  layers: 3,
  'layer-size': 64 * KiB,
  'config-size': 2 * KiB,
  'at-once': 8,
} as const;

/** A multiple of what registry:3 does. */
export const atLeast = (ratio: number): Aim[] => [{ than: 'registry:3', ratio }];
