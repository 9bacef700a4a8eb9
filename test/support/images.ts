import { createHash } from 'node:crypto';
import type { Store } from '../../storage/store.ts';
import { random } from './random.ts';

/** Some content, with what a descriptor says of it. */
export interface TestBlob {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Buffer<ArrayBuffer>;
}

/** A small image: its manifest, and the blobs that it names. */
export interface TestImage {
  readonly manifest: TestBlob;
  readonly config: TestBlob;
  readonly layers: readonly TestBlob[];
}

const types = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
} as const;

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function sha512(bytes: Uint8Array): string {
  return `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
}

/** Content of a media type. */
export function blob(mediaType: string, content: Uint8Array | string | object): TestBlob {
  const bytes =
    typeof content === 'string' || content instanceof Uint8Array
      ? Buffer.from(content)
      : Buffer.from(JSON.stringify(content));
  return { mediaType, digest: sha256(bytes), bytes };
}

/** What another document says of some content. */
export function descriptor({ mediaType, digest, bytes }: TestBlob): {
  mediaType: string;
  digest: string;
  size: number;
} {
  return { mediaType, digest, size: bytes.length };
}

/** An image whose content the seed decides; `layerSizes` in bytes; `manifest` has more keys for its manifest. */
export function image(
  options: {
    kind?: 'oci' | 'docker';
    seed?: number;
    layerSizes?: readonly number[];
    labels?: Readonly<Record<string, string>>;
    manifest?: object;
  } = {},
): TestImage {
  const { kind = 'oci', seed = 1, layerSizes = [1500, 700], labels = {} } = options;
  const type = types[kind];
  const numbers = random(seed);
  const layers = layerSizes.map((size) => blob(type.layer, numbers.bytes(size)));
  const config = blob(type.config, {
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: labels, Env: [`SEED=${seed}`] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  });
  const manifest = blob(type.manifest, {
    schemaVersion: 2,
    mediaType: type.manifest,
    config: descriptor(config),
    layers: layers.map(descriptor),
    ...options.manifest,
  });
  return { manifest, config, layers };
}

/** An index (or Docker's list) of images. */
export function index(images: readonly TestImage[], kind: 'oci' | 'docker' = 'oci'): TestBlob {
  return blob(types[kind].index, {
    schemaVersion: 2,
    mediaType: types[kind].index,
    manifests: images.map(({ manifest }, place) => ({
      ...descriptor(manifest),
      platform: { os: 'linux', architecture: `test${place}` },
    })),
  });
}

/** A body that comes in pieces of `size` bytes. */
export async function* body(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** All of a body. */
export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer<ArrayBuffer>> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

export async function pushBlob(store: Store, name: string, { digest, bytes }: TestBlob): Promise<void> {
  const { id } = await store.uploads.create(name);
  await store.uploads.commit(name, id, digest, body(bytes));
}

/** Pushes the blobs, then the manifest: under a tag, or by its digest where none is given. */
export async function pushImage(store: Store, name: string, pushed: TestImage, tag?: string): Promise<void> {
  for (const one of [pushed.config, ...pushed.layers]) await pushBlob(store, name, one);
  const { digest, bytes, mediaType } = pushed.manifest;
  await store.manifests.put(name, tag ?? digest, bytes, { contentType: mediaType });
}
