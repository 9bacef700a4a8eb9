import type { Bench, Goal } from '../frame/bench.ts';
import { sdk, type SdkWork } from './sdk.ts';
import { atLeast, largeLayer, manyLayers, MiB, pulling, pushing, smallImages } from './work.ts';

const registry = { storage: 's3' } as const;

const sdkAlone = 'SDK alone';

/** Twice what registry:3 does, or 80 % of what one process moves that uses the SDK for nothing else. */
const goals: readonly Goal[] = [{ either: [...atLeast(2), { than: sdkAlone, ratio: 0.8 }] }];

/** The same bytes by the SDK alone, beside the registries. */
function besideSdk(bench: Bench, work: SdkWork): Bench {
  return { ...bench, contestants: new Map([...bench.contestants, [sdkAlone, () => sdk(work)]]) };
}

/** Loads of registries that keep their images in a bucket, each on an S3 server of its own. */
export const s3Benches: readonly Bench[] = [
  pushing({ name: 's3-push-images', title: 'S3: small images pushed', registry, goals: atLeast(2) }, 'images/s', {
    ...smallImages,
    images: 16,
  }),
  besideSdk(
    pushing({ name: 's3-push-1m', title: 'S3: 1 MiB layers pushed, 4 at once', registry, goals }, 'MB/s', {
      images: 24,
      'layer-size': MiB,
      'at-once': 4,
    }),
    { does: 'put', count: 24, size: MiB, atOnce: 4 },
  ),
  besideSdk(
    pushing({ name: 's3-push-512m', title: 'S3: a layer of 512 MiB pushed', registry, goals }, 'MB/s', {
      images: 1,
      'layer-size': 512 * MiB,
      'at-once': 1,
    }),
    { does: 'put', count: 1, size: 512 * MiB, atOnce: 1 },
  ),
  besideSdk(pulling({ name: 's3-pull-1m', title: 'S3: 1 MiB layers pulled, 8 at once', registry, goals }, manyLayers), {
    does: 'get',
    ...manyLayers,
  }),
  besideSdk(pulling({ name: 's3-pull-512m', title: 'S3: a layer of 512 MiB pulled', registry, goals }, largeLayer), {
    does: 'get',
    ...largeLayer,
  }),
];
