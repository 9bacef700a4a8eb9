import { Blobs } from './blobs.ts';
import { Catalog as CatalogRoom, type CatalogPage } from './catalog.ts';
import { type Algorithm, type Digest, parseDigest } from './digest.ts';
import type { Driver } from './driver.ts';
import { Images as ImagesRoom } from './images.ts';
import { KeyedLock } from './lock.ts';
import { Manifests, type PutManifest } from './manifests.ts';
import { Mounts } from './mounts.ts';
import { parseName, parseReference, parseTag } from './names.ts';
import type { Page } from './pages.ts';
import { type Referrer, Referrers, type ReferrersPage } from './referrers.ts';
import { Space } from './space.ts';
import { Tags } from './tags.ts';
import type { UploadBody } from './upload-batches.ts';
import { Uploads } from './uploads.ts';

export type { Page } from './pages.ts';
export type { UploadBody } from './upload-batches.ts';

/** A blob or manifest, without its bytes. `size` in bytes. */
export interface BlobInfo {
  readonly digest: Digest;
  readonly size: number;
}

/** Both ends count: `{ start: 0, end: 0 }` is the first byte. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** An upload session and how many bytes it holds. */
export interface UploadStatus {
  readonly id: string;
  readonly offset: number;
}

/** Content by digest. A repository has what it has a link to; the bytes are there once for all repositories. */
export interface BlobStore {
  /** @throws {StorageError} BLOB_UNKNOWN, NAME_INVALID, DIGEST_INVALID */
  stat(name: string, digest: string): Promise<BlobInfo>;
  /**
   * The bytes, or a range of them; `size` is that of the whole blob. A body that is not read to its end is to be
   * returned (`for await` does so).
   * @throws {StorageError} BLOB_UNKNOWN, SIZE_INVALID (the range does not lie in the blob), NAME_INVALID, DIGEST_INVALID
   */
  open(name: string, digest: string, range?: ByteRange): Promise<{ size: number; body: AsyncIterable<Uint8Array> }>;
  /**
   * A URL at which the bytes can be had for an hour, without asking who wants them; undefined: there is none.
   * @throws {StorageError} NAME_INVALID, DIGEST_INVALID
   */
  url(name: string, digest: string): Promise<string | undefined>;
  /**
   * Where the bytes lie below the layout's folder `blobs`: lower-case letters, digits and slashes.
   * @throws {StorageError} BLOB_UNKNOWN, NAME_INVALID, DIGEST_INVALID
   */
  path(name: string, digest: string): Promise<string>;
  /**
   * Removes this repository's link; the bytes stay.
   * @throws {StorageError} BLOB_UNKNOWN, NAME_INVALID, DIGEST_INVALID
   */
  delete(name: string, digest: string): Promise<void>;
  /**
   * Gives this repository what another one has: `from`, or any that the caller may read. False: none was found.
   * @throws {StorageError} NAME_INVALID, DIGEST_INVALID
   */
  mount(
    name: string,
    digest: string,
    source: { from?: string | undefined; mayRead: (name: string) => boolean },
  ): Promise<boolean>;
}

/** Upload sessions: how a blob comes in. They survive the end of the process. */
export interface UploadStore {
  /** Bytes below which an `append` costs more than it need; undefined: there is no such. */
  readonly leastChunk: number | undefined;
  /**
   * `owner`: who begins it, or nobody. `algorithm`: that of the digest which is going to name the content, sha256 unless
   * it is known; another one costs a further reading.
   * @throws {StorageError} NAME_INVALID, NO_SPACE
   */
  create(name: string, options?: { owner?: string; algorithm?: Algorithm }): Promise<UploadStatus>;
  /** @throws {StorageError} UPLOAD_UNKNOWN, NAME_INVALID */
  status(name: string, id: string): Promise<UploadStatus>;
  /**
   * Adds bytes at the session's end; `at` says where the caller believes that to be. Whatever came before a body broke
   * off is kept. A newer call takes over from one that still runs, which then fails.
   * @throws {StorageError} UPLOAD_UNKNOWN, UPLOAD_OUT_OF_ORDER, UPLOAD_TAKEN_OVER, NO_SPACE, NAME_INVALID
   */
  append(name: string, id: string, body: UploadBody, at?: number): Promise<UploadStatus>;
  /**
   * Adds the last bytes, if any, and makes a blob of the session. When it resolves, the blob survives a power cut.
   * A digest that is not the content's ends the session.
   * @throws {StorageError} DIGEST_INVALID and what `append` throws
   */
  commit(name: string, id: string, digest: string, body: UploadBody | undefined, at?: number): Promise<BlobInfo>;
  /** @throws {StorageError} UPLOAD_UNKNOWN, NAME_INVALID */
  cancel(name: string, id: string): Promise<void>;
  /**
   * Ends sessions that have been idle for so many ms (or for five minutes, where something was refused for want of space
   * since this was done the last time), and of an owner who has too many the oldest idle ones.
   */
  expire(idle: number): Promise<void>;
}

/** Manifests and indexes, kept byte for byte. */
export interface ManifestStore {
  /**
   * Stores a manifest under its digest, and under a tag if the reference is one, and further tags. When it resolves, the
   * image survives a power cut: the manifest, its links, and each blob that it names. Blobs that the repository lacks,
   * and another one has that `mayRead` lets the caller read, are mounted.
   * @throws {StorageError} MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID, SIZE_INVALID, TAG_INVALID, NO_SPACE,
   *   NAME_INVALID
   */
  put(
    name: string,
    reference: string,
    bytes: Uint8Array,
    options?: {
      contentType?: string | undefined;
      tags?: readonly string[];
      mayRead?: (name: string) => boolean;
    },
  ): Promise<PutManifest>;
  /** @throws {StorageError} MANIFEST_UNKNOWN, NAME_INVALID, TAG_INVALID, DIGEST_INVALID */
  get(name: string, reference: string): Promise<{ digest: Digest; mediaType: string; bytes: Uint8Array }>;
  /** @throws {StorageError} MANIFEST_UNKNOWN, NAME_INVALID, TAG_INVALID, DIGEST_INVALID */
  stat(name: string, reference: string): Promise<{ digest: Digest; mediaType: string; size: number }>;
  /**
   * Removes a manifest from its repository, and the tags that point to it.
   * @throws {StorageError} MANIFEST_UNKNOWN, NAME_INVALID, DIGEST_INVALID
   */
  delete(name: string, digest: string): Promise<void>;
}

/** Manifests by what they refer to. */
export interface ReferrerStore {
  /**
   * Those of a subject, which need not be there, in the order of their digests.
   * @throws {StorageError} NAME_INVALID, DIGEST_INVALID
   */
  list(name: string, subject: string, page: ReferrersPage): Promise<{ referrers: Referrer[]; more: boolean }>;
}

/** Tags, in lexical order. */
export interface TagStore {
  /** @throws {StorageError} NAME_UNKNOWN, NAME_INVALID */
  list(name: string, page?: Page): Promise<{ tags: string[]; more: boolean }>;
  /** @throws {StorageError} MANIFEST_UNKNOWN (there is no such tag), NAME_INVALID, TAG_INVALID */
  delete(name: string, tag: string): Promise<void>;
}

/** Repositories that ever had a manifest, in lexical order. */
export interface Catalog {
  list(page?: CatalogPage): Promise<{ repositories: string[]; more: boolean }>;
}

/** What the log side asks. */
export interface Images {
  /**
   * What a config's, a manifest's or an index's digest leads to in a repository; undefined: nothing is known of it.
   * Labels of an index are those on which all its children agree.
   * @throws {StorageError} NAME_INVALID, DIGEST_INVALID
   */
  describe(name: string, digest: string): Promise<{ manifests: Digest[]; labels: Record<string, string> } | undefined>;
}

/** A content-addressed store of images, in registry:2's layout. Whatever comes in is checked here. */
export interface Store extends AsyncDisposable {
  readonly blobs: BlobStore;
  readonly uploads: UploadStore;
  readonly manifests: ManifestStore;
  readonly referrers: ReferrerStore;
  readonly tags: TagStore;
  readonly catalog: Catalog;
  readonly images: Images;
}

/**
 * Opens the store that a driver keeps, which it disposes of in the end. `indexMaxAge` (ms): how long an index may lag
 * behind another writer. `freeSpaceReserve` (bytes): with less than that left, nothing more is taken.
 */
export async function openStore(options: {
  driver: Driver;
  indexMaxAge: number;
  freeSpaceReserve?: number;
}): Promise<Store> {
  const { driver, indexMaxAge, freeSpaceReserve = 0 } = options;
  const space = new Space(driver, freeSpaceReserve);
  const locks = new KeyedLock();
  const blobs = new Blobs(driver);
  const uploads = new Uploads(driver, space);
  const tags = new Tags(driver, locks);
  const images = new ImagesRoom(driver, blobs, indexMaxAge);
  const catalog = new CatalogRoom(driver);
  const mounts = new Mounts({ driver, blobs, catalog });
  const referrers = new Referrers(driver);
  const manifests = new Manifests({ driver, blobs, mounts, tags, referrers, images, locks });
  return {
    blobs: {
      stat: async (name, digest) => blobs.stat(parseName(name), parseDigest(digest)),
      open: async (name, digest, range) => blobs.open(parseName(name), parseDigest(digest), range),
      url: async (name, digest) => blobs.url(parseName(name), parseDigest(digest)),
      path: async (name, digest) => blobs.path(parseName(name), parseDigest(digest)),
      delete: async (name, digest) => blobs.delete(parseName(name), parseDigest(digest)),
      mount: async (name, digest, { from, mayRead }) =>
        mounts.mount(parseName(name), parseDigest(digest), {
          from: from === undefined ? undefined : parseName(from),
          mayRead,
        }),
    },
    uploads: {
      leastChunk: driver.uploads.leastChunk,
      create: async (name, options) => uploads.create(parseName(name), options),
      status: async (name, id) => uploads.status(parseName(name), id),
      append: async (name, id, body, at) => uploads.append(parseName(name), id, body, at),
      commit: async (name, id, digest, body, at) => {
        const committed = await uploads.commit(parseName(name), id, parseDigest(digest), body, at);
        mounts.note(committed.digest, parseName(name));
        return committed;
      },
      cancel: async (name, id) => uploads.cancel(parseName(name), id),
      expire: async (idle) => uploads.expire(idle),
    },
    manifests: {
      put: async (name, reference, bytes, { tags = [], ...options } = {}) => {
        using _claim = await space.claim(bytes.length);
        return manifests.put(parseName(name), parseReference(reference), bytes, {
          ...options,
          tags: tags.map(parseTag),
        });
      },
      get: async (name, reference) => manifests.get(parseName(name), parseReference(reference)),
      stat: async (name, reference) => {
        const { digest, mediaType, bytes } = await manifests.get(parseName(name), parseReference(reference));
        return { digest, mediaType, size: bytes.length };
      },
      delete: async (name, digest) => manifests.delete(parseName(name), parseDigest(digest)),
    },
    referrers: {
      list: async (name, subject, page) => referrers.list(parseName(name), parseDigest(subject), page),
    },
    tags: {
      list: async (name, page = {}) => tags.list(parseName(name), page),
      delete: async (name, tag) => tags.delete(parseName(name), parseTag(tag)),
    },
    catalog: { list: async (page = {}) => catalog.list(page) },
    images: { describe: async (name, digest) => images.describe(parseName(name), parseDigest(digest)) },
    [Symbol.asyncDispose]: async () => {
      await driver[Symbol.asyncDispose]();
      await uploads[Symbol.asyncDispose]();
    },
  };
}
