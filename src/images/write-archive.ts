import type { Digest } from '../../storage/digest.ts';
import { manifestLimit } from '../../storage/manifest.ts';
import { isByDigest, type Reference, type RepositoryName } from '../../storage/names.ts';
import { ImageError } from './errors.ts';
import { blobPath, containerdNameKey, indexFile, layoutFile, layoutText, manifestFile, refNameKey } from './layout.ts';
import {
  configPlatform,
  type Descriptor,
  type Document,
  formatPlatform,
  type ImageManifest,
  isImageConfig,
  isManifest,
  type Platform,
  readDocument,
} from './manifest.ts';
import { hostPlatform, matches, pickChild, runnable } from './platforms.ts';
import { containerdName, formatReference } from './reference.ts';
import type { TarFile } from './tar-writer.ts';
import { verified } from './verify.ts';

/** A repository that an image is read from. Undefined: it is not there. */
export interface ImageSource {
  readonly name: RepositoryName;
  /** Its digest was checked. */
  manifest(reference: Reference): Promise<{ digest: Digest; bytes: Uint8Array } | undefined>;
  /** As it comes, unchecked. */
  blob(digest: Digest): Promise<AsyncIterable<Uint8Array> | undefined>;
}

/** What is written, and how. */
export interface ArchiveOptions {
  readonly source: ImageSource;
  readonly reference: Reference;
  /** Of an index, this image alone. */
  readonly platform?: Platform | undefined;
  /** Is told what the archive lacks, and what it is not good for. */
  readonly note: (text: string) => void;
}

interface Found {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly document: Document;
}

/**
 * The files of an archive that holds an image, or an index with all of its images, byte for byte: an OCI layout, which
 * `docker load` takes as well if it holds an image for this machine. What says what it holds comes last, so that an
 * archive that broke off holds nothing.
 * @throws {ImageError}
 */
export async function* archiveFiles(options: ArchiveOptions): AsyncGenerator<TarFile, void, void> {
  const { source, reference, note } = options;
  const top = await findTop(options);
  const wanted = loadableDigest(top);
  let loaded: ImageManifest | undefined;
  const [written, absent] = [new Set<Digest>(), new Set<Digest>()];
  yield file(layoutFile, layoutText);
  for await (const { digest, bytes, document } of walk(source, top, written)) {
    for (const part of partsOf(document)) {
      if (written.has(part.digest)) continue;
      written.add(part.digest);
      const body = await source.blob(part.digest);
      if (body !== undefined) {
        yield { name: blobPath(part.digest), size: part.size, body: verified(body, part) };
      } else if (document.kind === 'image' && document.elsewhere.has(part.digest)) {
        absent.add(part.digest);
        note(`the layer ${part.digest} is left out: it is to be had from ${part.urls?.join(' or ')}`);
      } else {
        throw new ImageError(`${source.name} lacks ${part.digest}, which ${digest} is made of`);
      }
    }
    if (digest === wanted && document.kind === 'image') loaded = document;
    yield file(blobPath(digest), bytes);
  }
  yield file(indexFile, indexText(top, source.name, reference));
  const why = obstacle(loaded, absent);
  if (why !== undefined) note(`docker load does not take it: ${why}`);
  if (why !== undefined || loaded === undefined) return;
  if (loaded.layers.some(({ mediaType }) => /[+.]zstd$/.test(mediaType))) {
    note('docker load takes it from Docker 23.0 on only: it has layers of zstd');
  }
  yield file(manifestFile, dockerText(loaded, source.name, reference));
}

function file(name: string, content: string | Uint8Array): TarFile {
  const bytes = Buffer.from(content);
  return { name, size: bytes.length, body: [bytes] };
}

async function find(source: ImageSource, reference: Reference): Promise<Found> {
  const found = await source.manifest(reference);
  if (found === undefined) throw new ImageError(`there is no ${formatReference(source.name, reference)}`);
  return { ...found, document: readDocument(found.bytes) };
}

async function findTop({ source, reference, platform }: ArchiveOptions): Promise<Found> {
  const top = await find(source, reference);
  if (platform === undefined) return top;
  if (top.document.kind === 'index') return find(source, pickChild(top.document, platform).digest);
  const there = await readPlatform(source, top.document.config);
  if (matches(there, platform)) return top;
  throw new ImageError(
    `it is an image for ${there === undefined ? 'no platform' : formatPlatform(there)}, not for ${formatPlatform(platform)}`,
  );
}

async function readPlatform(source: ImageSource, config: Descriptor): Promise<Platform | undefined> {
  const body = isImageConfig(config) && config.size <= manifestLimit ? await source.blob(config.digest) : undefined;
  return body && configPlatform(Buffer.concat(await Array.fromAsync(verified(body, config))));
}

/** All manifests below one, each once, and then that one. What each is made of has to be written ahead of it. */
async function* walk(source: ImageSource, top: Found, seen: Set<Digest>): AsyncGenerator<Found, void, void> {
  if (top.document.kind === 'index') {
    for (const { digest } of top.document.children.filter(isManifest)) {
      if (seen.has(digest)) continue;
      seen.add(digest);
      yield* walk(source, await find(source, digest), seen);
    }
  }
  yield top;
}

/** The blobs that a document is made of; an index of a build cache lists layers. */
function partsOf(document: Document): readonly Descriptor[] {
  if (document.kind === 'index') return document.children.filter((child) => !isManifest(child));
  return [document.config, ...document.layers];
}

/** The image that `docker load` would take on a machine as this one: if there is but one, then that. */
function loadableDigest({ digest, document }: Found): Digest | undefined {
  if (document.kind === 'image') return digest;
  const [first, ...more] = runnable(document);
  const fitting = runnable(document).find(({ platform }) => matches(platform, hostPlatform()));
  return (fitting ?? (more.length === 0 ? first : undefined))?.digest;
}

/** Why there is no image for `docker load`. */
function obstacle(image: ImageManifest | undefined, absent: ReadonlySet<Digest>): string | undefined {
  if (image === undefined) return `it has no image for ${formatPlatform(hostPlatform())}; --platform picks another`;
  if (!isImageConfig(image.config)) return 'it is no image that can run';
  return image.layers.some(({ digest }) => absent.has(digest)) ? 'a layer is left out' : undefined;
}

/** Of the OCI's form: what the archive holds, and its name. */
function indexText({ digest, bytes, document }: Found, name: RepositoryName, reference: Reference): string {
  const annotations = isByDigest(reference)
    ? undefined
    : { [refNameKey]: reference, [containerdNameKey]: containerdName(name, reference) };
  const top = { mediaType: document.mediaType, digest, size: bytes.length, annotations };
  return JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [top] });
}

/** Of Docker's form. */
function dockerText({ config, layers }: ImageManifest, name: RepositoryName, reference: Reference): string {
  const entry = {
    Config: blobPath(config.digest),
    RepoTags: isByDigest(reference) ? null : [formatReference(name, reference)],
    Layers: layers.map(({ digest }) => blobPath(digest)),
  };
  return JSON.stringify([entry]);
}
