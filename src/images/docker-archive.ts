import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Digest, digestOf, isDigest } from '../../storage/digest.ts';
import { parseAs, readSmall } from './archive-json.ts';
import { ImageError } from './errors.ts';
import { manifestFile } from './layout.ts';
import type { ArchivedBlob, ArchivedImage } from './read-archive.ts';
import type { ArchivedFile, TarArchive } from './tar-reader.ts';

const manifestSchema = z.array(
  z.object({
    Config: z.string(),
    RepoTags: z.array(z.string()).nullish(),
    Layers: z.array(z.string()).nullish(),
  }),
);

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'expected a digest');
const configSchema = z.object({ rootfs: z.object({ diff_ids: z.array(digest).nullish() }) });

const mediaTypes = {
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar',
} as const;

/** By which bytes a compressed layer begins, and what its media type ends with: RFC 1952, RFC 8878. */
const compressions: readonly [start: Buffer, suffix: string][] = [
  [Buffer.from([0x1f, 0x8b]), '.gzip'],
  [Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), '.zstd'],
];

/**
 * The images of an archive of `docker save`, whose `manifest.json` is given. It has no manifests as registries know
 * them: they are made here, of the config, byte for byte, and of the layers as they are, mostly not compressed.
 * @throws {ImageError}
 */
export async function readDockerImages(archive: TarArchive, manifest: ArchivedFile): Promise<ArchivedImage[]> {
  const entries = parseAs(manifestSchema, await readSmall(manifest, manifestFile), manifestFile);
  const images: ArchivedImage[] = [];
  for (const { Config, RepoTags, Layers } of entries) {
    images.push({ ...(await readImage(archive, Config, Layers ?? [])), names: RepoTags ?? [] });
  }
  return images;
}

async function readImage(
  archive: TarArchive,
  configName: string,
  layerNames: readonly string[],
): Promise<Omit<ArchivedImage, 'names'>> {
  const file = find(archive, configName);
  const config = await readSmall(file, `the config ${JSON.stringify(configName)}`);
  const diffIds = parseAs(configSchema, config, `the config ${JSON.stringify(configName)}`).rootfs.diff_ids ?? [];
  if (diffIds.length !== layerNames.length) {
    throw new ImageError(`${manifestFile} names ${layerNames.length} layers, but their image has ${diffIds.length}`);
  }
  const blobs: ArchivedBlob[] = [{ digest: digestOf(config), ...file }];
  const layers: object[] = [];
  for (const [place, diffId] of diffIds.entries()) {
    const { blob, suffix } = await readLayer(find(archive, layerNames[place] ?? ''), diffId);
    blobs.push(blob);
    layers.push({ mediaType: `${mediaTypes.layer}${suffix}`, size: blob.size, digest: blob.digest });
  }
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: { mediaType: mediaTypes.config, size: config.length, digest: digestOf(config) },
      layers,
    }),
  );
  return { digest: digestOf(bytes), mediaType: mediaTypes.manifest, bytes, blobs, children: [] };
}

/** What is not compressed is named by the image itself; of what is, the digest has to be found. */
async function readLayer(file: ArchivedFile, diffId: Digest): Promise<{ blob: ArchivedBlob; suffix: string }> {
  const start = Buffer.concat(await Array.fromAsync(file.read(4)));
  const [, suffix] = compressions.find(([bytes]) => bytes.equals(start.subarray(0, bytes.length))) ?? [];
  if (suffix === undefined) return { blob: { digest: diffId, ...file }, suffix: '' };
  const hash = createHash('sha256');
  for await (const chunk of file.read()) hash.update(chunk);
  return { blob: { digest: `sha256:${hash.digest('hex')}`, ...file }, suffix };
}

function find(archive: TarArchive, name: string): ArchivedFile {
  const file = archive.find(name);
  if (file === undefined)
    throw new ImageError(`the archive lacks ${JSON.stringify(name)}, which ${manifestFile} names`);
  return file;
}
