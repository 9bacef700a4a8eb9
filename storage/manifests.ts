import type { Blobs } from './blobs.ts';
import { type Digest, digestOf, splitDigest } from './digest.ts';
import type { Driver } from './driver.ts';
import { DigestInvalidError, ManifestBlobUnknownError, StorageError } from './errors.ts';
import type { Images } from './images.ts';
import { blobKey, layerLink, revisionFolder, revisionLink, tagIndexLink, tagLink } from './layout.ts';
import { readLink, writeLink } from './links.ts';
import type { KeyedLock } from './lock.ts';
import { type Manifest, manifestLimit, parseManifest, storedMediaType } from './manifest.ts';
import { isByDigest, type Reference, type RepositoryName } from './names.ts';
import { parallel } from './parallel.ts';
import type { Tags } from './tags.ts';

const width = 16;

/** A manifest as it is stored. */
export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** Manifests that repositories have, by digest and by tag. */
export class Manifests {
  readonly #driver: Driver;
  readonly #blobs: Blobs;
  readonly #tags: Tags;
  readonly #images: Images;
  /** By repository: puts share it, a delete has it alone, so that no tag is left with nothing to point to. */
  readonly #locks: KeyedLock;

  constructor(rooms: { driver: Driver; blobs: Blobs; tags: Tags; images: Images; locks: KeyedLock }) {
    this.#driver = rooms.driver;
    this.#blobs = rooms.blobs;
    this.#tags = rooms.tags;
    this.#images = rooms.images;
    this.#locks = rooms.locks;
  }

  async put(
    name: RepositoryName,
    reference: Reference,
    bytes: Uint8Array,
    contentType?: string,
  ): Promise<{ digest: Digest; mediaType: string; subject?: Digest }> {
    if (bytes.length > manifestLimit) {
      throw new StorageError('SIZE_INVALID', `a manifest has at most ${manifestLimit} bytes`);
    }
    const manifest = parseManifest(bytes, contentType);
    const digest = digestOf(bytes, isByDigest(reference) ? splitDigest(reference).algorithm : 'sha256');
    if (isByDigest(reference) && reference !== digest) {
      throw new DigestInvalidError(`the manifest's content is ${digest}`);
    }
    await this.#locks.shared(name, async () => {
      await this.#driver.settle(await this.#named(name, manifest));
      // Each step is durable before the next: what a link points to is always there.
      await this.#driver.put(blobKey(digest), bytes);
      await writeLink(this.#driver, revisionLink(name, digest), digest);
      if (manifest.config !== undefined) await this.#images.note(name, manifest.config, digest);
      if (isByDigest(reference)) return;
      await writeLink(this.#driver, tagIndexLink(name, reference, digest), digest);
      await writeLink(this.#driver, tagLink(name, reference), digest);
    });
    const { mediaType, subject } = manifest;
    return subject === undefined ? { digest, mediaType } : { digest, mediaType, subject };
  }

  /** @throws {StorageError} MANIFEST_UNKNOWN */
  async get(name: RepositoryName, reference: Reference): Promise<StoredManifest> {
    const digest = isByDigest(reference) ? reference : await readLink(this.#driver, tagLink(name, reference));
    const found = digest && (await this.find(name, digest));
    if (found === undefined) throw unknown(reference);
    return found;
  }

  /** Undefined: the repository has no such manifest. */
  async find(name: RepositoryName, digest: Digest): Promise<StoredManifest | undefined> {
    const target = await readLink(this.#driver, revisionLink(name, digest));
    const bytes = target && (await this.#driver.get(blobKey(target), manifestLimit));
    return bytes && { digest, mediaType: storedMediaType(bytes), bytes };
  }

  async delete(name: RepositoryName, digest: Digest): Promise<void> {
    await this.#locks.alone(name, async () => {
      const found = await readLink(this.#driver, revisionLink(name, digest));
      if (found === undefined) throw unknown(digest);
      // Tags first: broken off here, none points to what is gone.
      await this.#tags.deleteAll(name, digest);
      await this.#images.forget(name, digest);
      await this.#driver.delete(revisionFolder(name, digest));
    });
  }

  /**
   * The keys of all that a manifest names. A blob that lies only in another repository is unknown here; whoever may
   * let the caller have it mounts it first.
   * @throws {ManifestBlobUnknownError} where this repository lacks some of it. A subject may be missing.
   */
  async #named(name: RepositoryName, manifest: Manifest): Promise<string[]> {
    const blobs = await parallel(manifest.blobs, width, (digest) => this.#blobKeys(name, digest));
    const children = await parallel(manifest.children, width, (digest) => this.#childKeys(name, digest));
    const found = [...blobs, ...children];
    const wanted = [...manifest.blobs, ...manifest.children];
    const missing = wanted.filter((_, place) => found[place] === undefined);
    if (missing.length > 0) throw new ManifestBlobUnknownError(missing);
    return found.flatMap((keys) => keys ?? []);
  }

  async #blobKeys(name: RepositoryName, digest: Digest): Promise<string[] | undefined> {
    const blob = await this.#blobs.find(name, digest);
    return blob && [layerLink(name, digest), blobKey(blob.target)];
  }

  /** An index of a build cache lists layers. */
  async #childKeys(name: RepositoryName, digest: Digest): Promise<string[] | undefined> {
    const target = await readLink(this.#driver, revisionLink(name, digest));
    if (target === undefined || (await this.#driver.stat(blobKey(target))) === undefined) {
      return this.#blobKeys(name, digest);
    }
    return [revisionLink(name, digest), blobKey(target)];
  }
}

function unknown(reference: Reference): StorageError {
  return new StorageError('MANIFEST_UNKNOWN', `the repository has no manifest ${reference}`);
}
