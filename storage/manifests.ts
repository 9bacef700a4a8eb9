import type { Blobs } from './blobs.ts';
import { type Digest, digestOf, splitDigest } from './digest.ts';
import type { Driver } from './driver.ts';
import { DigestInvalidError, ManifestBlobUnknownError, StorageError } from './errors.ts';
import type { Images } from './images.ts';
import { blobKey, layerLink, referrerLink, revisionFolder, revisionLink, tagIndexLink, tagLink } from './layout.ts';
import { linkTo, readLink } from './links.ts';
import type { KeyedLock } from './lock.ts';
import { type Manifest, manifestLimit, parseManifest, storedMediaType } from './manifest.ts';
import { mostSearched, type Mounts } from './mounts.ts';
import { isByDigest, type Reference, type RepositoryName, type Tag } from './names.ts';
import { parallel } from './parallel.ts';
import { putInSteps, sortOut } from './put.ts';
import type { Referrers } from './referrers.ts';
import { findManifest, readRevision } from './revisions.ts';
import type { Tags } from './tags.ts';
import { checkUnambiguous } from './unambiguous.ts';

const width = 16;

/** A manifest as it is stored. */
export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** A manifest that was put. */
export interface PutManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  /** What it refers to, and whether the repository has that. */
  readonly subject?: { readonly digest: Digest; readonly found: boolean };
  /** Layers that are not here, as the manifest says where else they are. */
  readonly elsewhere: readonly Digest[];
}

/** What a manifest is put with. */
export interface PutOptions {
  /** It must be that of the document. */
  readonly contentType?: string | undefined;
  /** Tags beside the one, if any, by which it is put. */
  readonly tags?: readonly Tag[];
  /** Whether the caller may read a repository: what it lacks, and one of those has, it is given. */
  readonly mayRead?: (name: RepositoryName) => boolean;
}

/** What manifests are kept by. */
export interface ManifestRooms {
  readonly driver: Driver;
  readonly blobs: Blobs;
  readonly mounts: Mounts;
  readonly tags: Tags;
  readonly referrers: Referrers;
  readonly images: Images;
  readonly locks: KeyedLock;
}

/** Manifests that repositories have, by digest and by tag. */
export class Manifests {
  readonly #driver: Driver;
  readonly #blobs: Blobs;
  readonly #mounts: Mounts;
  readonly #tags: Tags;
  readonly #referrers: Referrers;
  readonly #images: Images;
  /** By repository: puts share it, a delete has it alone, so that no tag is left with nothing to point to. */
  readonly #locks: KeyedLock;
  /** Of bytes that the driver keeps, and gives again as the same ones. */
  readonly #mediaTypes = new WeakMap<Uint8Array, string>();

  constructor(rooms: ManifestRooms) {
    this.#driver = rooms.driver;
    this.#blobs = rooms.blobs;
    this.#mounts = rooms.mounts;
    this.#tags = rooms.tags;
    this.#referrers = rooms.referrers;
    this.#images = rooms.images;
    this.#locks = rooms.locks;
  }

  async put(
    name: RepositoryName,
    reference: Reference,
    bytes: Uint8Array,
    { contentType, tags = [], mayRead = () => false }: PutOptions = {},
  ): Promise<PutManifest> {
    if (bytes.length > manifestLimit) {
      throw new StorageError('SIZE_INVALID', `a manifest has at most ${manifestLimit} bytes`);
    }
    const manifest = parseManifest(bytes, contentType);
    checkUnambiguous(bytes);
    const digest = digestOf(bytes, isByDigest(reference) ? splitDigest(reference).algorithm : 'sha256');
    if (isByDigest(reference) && reference !== digest) {
      throw new DigestInvalidError(`the manifest's content is ${digest}`);
    }
    const { mediaType, subject, elsewhere } = manifest;
    const found = subject !== undefined && (await readLink(this.#driver, revisionLink(name, subject))) !== undefined;
    const every = new Set(isByDigest(reference) ? tags : [reference, ...tags]);
    await this.#locks.shared(name, async () => {
      const named = await this.#named(name, manifest, mayRead);
      // What a link points to is always there. That a tag once pointed to something is its past, which may lag.
      const steps = [
        [
          { key: blobKey(digest), bytes },
          ...(subject === undefined ? [] : [linkTo(digest, referrerLink(subject, name, digest))]),
        ],
        [linkTo(digest, revisionLink(name, digest))],
        [...every]
          .flatMap((tag) => [tagIndexLink(name, tag, digest), tagLink(name, tag)])
          .map((key) => linkTo(digest, key)),
      ];
      const { there, missing } = await sortOut(this.#driver, steps);
      await this.#driver.settle([...named, ...there]);
      if (manifest.config !== undefined) await this.#images.note(name, manifest.config, digest);
      await putInSteps(this.#driver, missing);
    });
    return { digest, mediaType, elsewhere, ...(subject && { subject: { digest: subject, found } }) };
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
    const bytes = await readRevision(this.#driver, name, digest);
    return bytes && { digest, mediaType: this.#mediaTypeOf(bytes), bytes };
  }

  #mediaTypeOf(bytes: Uint8Array): string {
    const known = this.#mediaTypes.get(bytes);
    if (known !== undefined) return known;
    const mediaType = storedMediaType(bytes);
    this.#mediaTypes.set(bytes, mediaType);
    return mediaType;
  }

  async delete(name: RepositoryName, digest: Digest): Promise<void> {
    await this.#locks.alone(name, async () => {
      const linked = await readLink(this.#driver, revisionLink(name, digest));
      if (linked === undefined) throw unknown(digest);
      const manifest = await findManifest(this.#driver, name, digest);
      // Tags first: broken off here, none points to what is gone.
      await this.#tags.deleteAll(name, digest);
      await this.#driver.delete(revisionFolder(name, digest));
      if (manifest?.config !== undefined) await this.#images.forget(name, manifest.config, digest);
      if (manifest?.subject !== undefined) await this.#referrers.forget(name, manifest.subject, digest);
    });
  }

  /**
   * The keys of all that a manifest names. What only another repository has, which the caller may read, is mounted.
   * @throws {ManifestBlobUnknownError} where some of it is missing. A subject may be.
   */
  async #named(
    name: RepositoryName,
    manifest: Manifest,
    mayRead: (name: RepositoryName) => boolean,
  ): Promise<string[]> {
    const budget = { left: mostSearched };
    const blobs = await parallel(manifest.blobs, width, async (digest) => {
      const keys = await this.#blobKeys(name, digest);
      if (keys !== undefined || !(await this.#mounts.mount(name, digest, { mayRead, budget }))) return keys;
      return this.#blobKeys(name, digest);
    });
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
