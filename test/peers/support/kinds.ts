import { gzipSync } from 'node:zlib';
import { random } from '../../support/random.ts';
import type { Descriptor, Layer, LayoutFolder } from './layout.ts';

/** Writes an image of some kind into an empty layout, and says what it is. */
export type Kind = (layout: LayoutFolder) => Promise<Descriptor>;

const oci = (name: string): string => `application/vnd.oci.image.${name}`;
const docker = (name: string): string => `application/vnd.docker.${name}`;

async function layers(layout: LayoutFolder, count = 2, seed = 1): Promise<Layer[]> {
  const numbers = random(seed);
  const made: Layer[] = [];
  for (let at = 0; at < count; at += 1) made.push(await layout.layer({ [`file-${at}`]: numbers.bytes(500) }));
  return made;
}

const on = (architecture: string, os = 'linux'): object => ({ platform: { architecture, os } });

/** An image with Docker's own types. */
export const schema2: Kind = async (layout) => {
  const [one] = await layers(layout, 1);
  if (one === undefined) throw new Error('no layer');
  const config = await layout.put(docker('container.image.v1+json'), {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [one.diffId] },
  });
  const layer = { ...one.descriptor, mediaType: docker('image.rootfs.diff.tar.gzip') };
  const mediaType = docker('distribution.manifest.v2+json');
  return layout.put(mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] });
};

/** An image, written as no program would write it. */
export const ociImage: Kind = async (layout) => {
  const image = await layout.image(await layers(layout));
  const odd = {
    'com.example.unknown': { '\u00e9': [1e21, -0] },
    ...JSON.parse(String(await layout.read(image.digest))),
  };
  await layout.remove(image.digest);
  return layout.put(image.mediaType, Buffer.from(`\n${JSON.stringify(odd, null, 3)}\n`));
};

/** An index that names an index and an image. */
export const nestedIndex: Kind = async (layout) => {
  const [amd64, arm64] = [
    await layout.image(await layers(layout, 2, 1)),
    await layout.image(await layers(layout, 2, 2), { architecture: 'arm64' }),
  ];
  const inner = await layout.index([{ ...arm64, ...on('arm64') }]);
  return layout.index([{ ...amd64, ...on('amd64') }, inner]);
};

/** An artifact, whose config is empty, of one file. */
export const artifact: Kind = async (layout) => {
  const mediaType = oci('manifest.v1+json');
  return layout.put(mediaType, {
    schemaVersion: 2,
    mediaType,
    artifactType: 'application/vnd.example.chart',
    config: await layout.put('application/vnd.oci.empty.v1+json', Buffer.from('{}')),
    layers: [await layout.put('text/plain', Buffer.from('a file'))],
    annotations: { 'org.opencontainers.image.created': '2026-01-01T00:00:00Z' },
  });
};

/** As many layers as Docker's overlay2 stacks. */
export const manyLayers: Kind = async (layout) => layout.image(await layers(layout, 127));

/** A layer without files, compressed, and one of no byte at all. */
export const emptyLayers: Kind = async (layout) => {
  const tar = await layout.put(oci('layer.v1.tar'), new Uint8Array());
  return layout.image([await layout.layer({}), { descriptor: tar, diffId: tar.digest }, ...(await layers(layout))]);
};

/** Layers that are had elsewhere, as Windows' base images have them: clients push what names them, not them. */
export const foreignLayers: Kind = async (layout) => {
  const bytes = gzipSync('elsewhere');
  const foreign = {
    ...(await layout.put(docker('image.rootfs.foreign.diff.tar.gzip'), bytes)),
    urls: ['http://127.0.0.1:9/layer'],
  };
  await layout.remove(foreign.digest);
  const [own] = await layers(layout, 1);
  if (own === undefined) throw new Error('no layer');
  return layout.image([{ descriptor: foreign, diffId: foreign.digest }, own]);
};

/** What buildx pushes: an image, and beside it an attestation, which is for no platform and names the image. */
export const attestation: Kind = async (layout) => {
  const image = await layout.image(await layers(layout));
  const statement = await layout.put('application/vnd.in-toto+json', {
    predicateType: 'https://slsa.dev/provenance/v0.2',
  });
  const provenance = await layout.image([{ descriptor: statement, diffId: statement.digest }], {
    architecture: 'unknown',
  });
  return layout.index([
    { ...image, ...on('amd64') },
    {
      ...provenance,
      ...on('unknown', 'unknown'),
      annotations: {
        'vnd.docker.reference.digest': image.digest,
        'vnd.docker.reference.type': 'attestation-manifest',
      },
    },
  ]);
};

/** What buildkit's `--cache-to=type=registry` pushes: an index whose entries are layers and a config of its own. */
export const buildCache: Kind = async (layout) => {
  const entries = (await layers(layout)).map(({ descriptor }) => ({
    ...descriptor,
    annotations: { 'buildkit/createdat': '2026-01-01T00:00:00Z', 'containerd.io/uncompressed': descriptor.digest },
  }));
  const config = await layout.put('application/vnd.buildkit.cacheconfig.v0', { layers: [{ layer: 0 }], records: [] });
  return layout.index([...entries, config]);
};
