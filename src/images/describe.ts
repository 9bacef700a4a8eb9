import type { Digest } from '../../storage/digest.ts';
import { parallel } from '../../storage/parallel.ts';
import { ImageError } from './errors.ts';
import {
  configPlatform,
  type Descriptor,
  type Document,
  formatPlatform,
  type ImageManifest,
  isImageConfig,
  isManifest,
  readDocument,
} from './manifest.ts';

/** What is to be known of an image at a glance. `size` in bytes: configs and layers, each once. */
export interface Description {
  /** `image`, `index`, or the type of an artifact. */
  readonly type: string;
  readonly size: number;
  readonly platforms: readonly string[];
}

/** Where an image's parts are read. Undefined: it is not there. */
export interface Parts {
  manifest(digest: Digest): Promise<{ bytes: Uint8Array } | undefined>;
  config(digest: Digest): Promise<Uint8Array | undefined>;
}

const width = 4;

/** Describes what a manifest or an index holds. */
export async function describe(bytes: Uint8Array, parts: Parts): Promise<Description> {
  const document = tryRead(bytes);
  if (document === undefined) return { type: 'unknown', size: 0, platforms: [] };
  const blobs = new Map<Digest, number>();
  await addBlobs(document, parts, blobs, new Set());
  const size = [...blobs.values()].reduce((sum, blob) => sum + blob, 0);
  if (document.kind === 'index') return { type: 'index', size, platforms: indexPlatforms(document.children) };
  return { ...(await describeImage(document, parts)), size };
}

async function describeImage(image: ImageManifest, parts: Parts): Promise<Omit<Description, 'size'>> {
  const { config, artifactType } = image;
  if (!isImageConfig(config)) return { type: artifactType ?? config.mediaType, platforms: [] };
  const bytes = await parts.config(config.digest);
  const platform = bytes && configPlatform(bytes);
  return { type: 'image', platforms: platform === undefined ? [] : [formatPlatform(platform)] };
}

function indexPlatforms(children: readonly Descriptor[]): string[] {
  const platforms = children.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
  // Attestations have this one.
  return [...new Set(platforms)].filter((platform) => platform !== 'unknown/unknown');
}

/** Adds the size of each blob that a document leads to; what is not there has none. */
async function addBlobs(
  document: Document,
  parts: Parts,
  blobs: Map<Digest, number>,
  seen: Set<Digest>,
): Promise<void> {
  const [all, found] =
    document.kind === 'image'
      ? [[document.config, ...document.layers.filter(({ digest }) => !document.elsewhere.has(digest))], []]
      : [document.children.filter((child) => !isManifest(child)), document.children.filter(isManifest)];
  for (const { digest, size } of all) blobs.set(digest, size);
  const children = found.filter(({ digest }) => !seen.has(digest));
  for (const { digest } of children) seen.add(digest);
  await parallel(children, width, async ({ digest }) => {
    const child = await parts.manifest(digest);
    const read = child && tryRead(child.bytes);
    if (read !== undefined) await addBlobs(read, parts, blobs, seen);
  });
}

/** Undefined: it is none that the specifications know of; another registry may have stored it. */
function tryRead(bytes: Uint8Array): Document | undefined {
  try {
    return readDocument(bytes);
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}
