import { blob, descriptor, image, index, sha512, type TestBlob, type TestImage } from '../../support/images.ts';
import type { Api } from './api.ts';

/** The one repository that is filled; a second has an image of it. */
export const name = 'team/app';

const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
const ociIndex = 'application/vnd.oci.image.index.v1+json';
const emptyConfig = blob('application/vnd.oci.empty.v1+json', '{}');
const emptyLayer = blob('application/vnd.oci.image.layer.v1.tar', '');

/** What was pushed, as far as tests ask for it again. */
export interface Everything {
  /** Manifests without a tag, by what they are. */
  readonly untagged: Readonly<Record<Untagged, TestBlob>>;
  /** What the first two refer to. */
  readonly subject: TestBlob;
  /** What nothing refers to any more, of which nothing is known but the bytes. */
  readonly garbage: readonly TestBlob[];
  /** An upload that is not finished, where it goes on, and its content. */
  readonly upload: { readonly location: string; readonly content: TestBlob };
}

type Untagged =
  | 'referrer'
  | 'referrer that is an index'
  | 'referrer under the fallback tag'
  | 'child of an index'
  | 'grandchild'
  | 'moved on from'
  | 'only by digest'
  | 'only by sha512';

/** Pushes images, indexes and artifacts of each kind that shiplog takes, some tagged and some not, and some garbage. */
export async function pushEverything(registry: Api): Promise<Everything> {
  const put = async (manifest: TestBlob, tag?: string): Promise<TestBlob> => {
    await registry.manifest(name, manifest, tag);
    return manifest;
  };
  const push = async (pushed: TestImage, tag?: string): Promise<TestBlob> => {
    await registry.image(name, pushed, tag);
    return pushed.manifest;
  };
  const document = (content: object): TestBlob => blob(ociManifest, { schemaVersion: 2, ...content });
  const indexOf = (manifests: readonly TestBlob[], more: object = {}): TestBlob =>
    blob(ociIndex, { schemaVersion: 2, mediaType: ociIndex, manifests: manifests.map(descriptor), ...more });
  const child = image({ seed: 3 });
  const { config, layers } = image({ seed: 1 });

  const subject = await push(image({ seed: 1 }), 'oci');
  await push(image({ seed: 2, kind: 'docker' }), 'docker');
  const children = [await push(child), await push(image({ seed: 4 }))];
  await put(index([child, image({ seed: 4 })]), 'multi');
  const grandchild = await push(image({ seed: 5 }));
  const inner = await put(indexOf([grandchild]));
  await put(indexOf([inner, ...children]), 'nested');
  await put(index([image({ seed: 2, kind: 'docker' })], 'docker'), 'list');
  // What a build cache of an older buildkit is.
  await put(indexOf(layers), 'cache');

  for (const one of [emptyConfig, emptyLayer]) await registry.blob(name, one);
  await put(document({ config: descriptor(config), layers: layers.map(descriptor) }), 'without-type');
  await put(document({ mediaType: ociManifest, config: descriptor(config), layers: [] }), 'without-layers');
  await put(document({ config: descriptor(config), layers: [descriptor(emptyLayer)] }), 'empty-layer');
  const elsewhere = {
    mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
    digest: `sha256:${'0'.repeat(64)}`,
    size: 1000,
    urls: ['https://elsewhere.test/layer'],
  };
  await put(document({ config: descriptor(config), layers: [elsewhere] }), 'layer-elsewhere');
  const artifact = {
    config: descriptor(emptyConfig),
    layers: [descriptor(emptyConfig)],
    artifactType: 'test/artifact',
  };
  await put(document({ mediaType: ociManifest, ...artifact }), 'artifact');
  await put(indexOf([]), 'empty-index');

  const refers = { subject: descriptor(subject) };
  const untagged = {
    referrer: await put(document({ mediaType: ociManifest, ...artifact, ...refers })),
    'referrer that is an index': await put(indexOf([], refers)),
    'referrer under the fallback tag': await put(document({ ...artifact, ...refers, annotations: { by: 'a client' } })),
    'child of an index': child.manifest,
    grandchild,
    'moved on from': await push(image({ seed: 6 }), 'moved'),
    'only by digest': await push(image({ seed: 7 })),
    'only by sha512': await pushSha512(registry, 20),
  };
  await pushSha512(registry, 21, 'sha512');
  await put(indexOf([untagged['referrer under the fallback tag']]), subject.digest.replace(':', '-'));
  await push(image({ seed: 8 }), 'moved');
  for (const one of [config, ...layers]) await registry.mount('team/mounted', one, name);
  await registry.manifest('team/mounted', subject, 'oci');

  const lost = image({ seed: 9 });
  await push(lost, 'lost');
  await registry.deleteManifest(name, lost.manifest.digest);
  const never = blob('application/octet-stream', 'a blob that no image came to name');
  await registry.blob(name, never);

  const content = blob('application/octet-stream', 'an upload that is not over');
  const { headers } = await registry.call('POST', `/v2/${name}/blobs/uploads/`);
  const patched = await registry.call('PATCH', headers.get('location') ?? '', content.bytes);
  const upload = { location: patched.headers.get('location') ?? '', content };
  return { untagged, subject, garbage: [lost.manifest, lost.config, ...lost.layers, never], upload };
}

/** An image whose manifest, config and layer are all named by sha512. */
async function pushSha512(registry: Api, seed: number, tag?: string): Promise<TestBlob> {
  const { config, layers, manifest } = image({ seed, layerSizes: [300] });
  const [one = config, ...others] = [config, ...layers].map((blob) => ({ ...blob, digest: sha512(blob.bytes) }));
  for (const part of [one, ...others]) await registry.blob(name, part);
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, config: descriptor(one), layers: others.map(descriptor) }),
  );
  const named = { mediaType: manifest.mediaType, digest: sha512(bytes), bytes };
  await registry.manifest(name, named, tag === undefined ? named.digest : `${named.digest}?tag=${tag}`);
  return named;
}
