import type { Digest } from './digest.ts';
import type { Driver, Span } from './driver.ts';
import { StorageError } from './errors.ts';
import { blobKey, blobsFolder, layerFolder, layerLink } from './layout.ts';
import { readLink } from './links.ts';
import type { RepositoryName } from './names.ts';

/** What a repository's link to a blob leads to. */
export interface LinkedBlob {
  /** Of the bytes; another than was asked for where registry:2 made an alias of a sha512 push. */
  readonly target: Digest;
  readonly size: number;
}

/** Content that repositories have a link to. */
export class Blobs {
  readonly #driver: Driver;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  /** Undefined: this repository does not have it. */
  async find(name: RepositoryName, digest: Digest): Promise<LinkedBlob | undefined> {
    const target = await readLink(this.#driver, layerLink(name, digest));
    const found = target && (await this.#driver.stat(blobKey(target)));
    return target && found && { target, size: found.size };
  }

  async stat(name: RepositoryName, digest: Digest): Promise<{ digest: Digest; size: number }> {
    const { size } = await this.#get(name, digest);
    return { digest, size };
  }

  async open(
    name: RepositoryName,
    digest: Digest,
    range?: Span,
  ): Promise<{ size: number; body: AsyncIterable<Uint8Array> }> {
    const { target, size } = await this.#get(name, digest);
    const span = range ?? { start: 0, end: size - 1 };
    if (range !== undefined && !(range.start >= 0 && range.start <= range.end && range.end < size)) {
      throw new StorageError('SIZE_INVALID', `bytes ${range.start} to ${range.end} of a blob of ${size}`);
    }
    return { size, body: this.#driver.read(blobKey(target), span) };
  }

  /** Where the bytes can be had without the store; undefined: nowhere. */
  async url(name: RepositoryName, digest: Digest): Promise<string | undefined> {
    if (this.#driver.presign === undefined) return undefined;
    const target = await readLink(this.#driver, layerLink(name, digest));
    return target && this.#driver.presign(blobKey(target));
  }

  /** Where the bytes lie below the folder of blobs. */
  async path(name: RepositoryName, digest: Digest): Promise<string> {
    const { target } = await this.#get(name, digest);
    return blobKey(target).slice(blobsFolder.length + 1);
  }

  async delete(name: RepositoryName, digest: Digest): Promise<void> {
    const linked = await readLink(this.#driver, layerLink(name, digest));
    if (linked === undefined || !(await this.#driver.delete(layerFolder(name, digest)))) throw unknown(digest);
  }

  async #get(name: RepositoryName, digest: Digest): Promise<LinkedBlob> {
    const found = await this.find(name, digest);
    if (found === undefined) throw unknown(digest);
    return found;
  }
}

function unknown(digest: Digest): StorageError {
  return new StorageError('BLOB_UNKNOWN', `the repository has no blob ${digest}`);
}
