import { BoundedMap } from './bounded-map.ts';
import type { Blobs } from './blobs.ts';
import type { Catalog } from './catalog.ts';
import type { Digest } from './digest.ts';
import type { Driver } from './driver.ts';
import { blobKey, layerLink } from './layout.ts';
import { writeLink } from './links.ts';
import type { RepositoryName } from './names.ts';
import { parallel } from './parallel.ts';

const width = 16;

/** Repositories that are remembered of one blob. */
const mostNames = 8;

/** Repositories that are searched for blobs of which none is remembered. Of more than these, they may not be found. */
export const mostSearched = 2000;

/** From where a repository may be given a blob. */
export interface MountSource {
  /** The repository to look into first. */
  readonly from?: RepositoryName | undefined;
  /** Whether the caller may read a repository. */
  readonly mayRead: (name: RepositoryName) => boolean;
  /** How many repositories may still be searched, where several blobs share that. */
  readonly budget?: { left: number };
}

/**
 * Gives repositories blobs that others have. Which ones do, this process knows of those that it saw lately, else a search
 * finds it. Either is verified, and a miss costs a client no more than to send the blob again.
 */
export class Mounts {
  readonly #driver: Driver;
  readonly #blobs: Blobs;
  readonly #catalog: Catalog;
  readonly #seen = new BoundedMap<Digest, readonly RepositoryName[]>(20_000);

  constructor(rooms: { driver: Driver; blobs: Blobs; catalog: Catalog }) {
    this.#driver = rooms.driver;
    this.#blobs = rooms.blobs;
    this.#catalog = rooms.catalog;
  }

  /** A repository was given a blob. */
  note(digest: Digest, name: RepositoryName): void {
    const others = (this.#seen.get(digest) ?? []).filter((other) => other !== name);
    this.#seen.set(digest, [name, ...others].slice(0, mostNames));
  }

  /** False: no repository was found that has the blob and may be read. */
  async mount(
    name: RepositoryName,
    digest: Digest,
    { from, mayRead, budget = { left: mostSearched } }: MountSource,
  ): Promise<boolean> {
    const seen = [...(from === undefined ? [] : [from]), ...(this.#seen.get(digest) ?? [])];
    for (const other of seen.filter(mayRead)) if (await this.#give(name, digest, other)) return true;
    const other = await this.#search(digest, mayRead, budget);
    return other !== undefined && this.#give(name, digest, other);
  }

  async #give(name: RepositoryName, digest: Digest, from: RepositoryName): Promise<boolean> {
    const found = await this.#blobs.find(from, digest);
    if (found === undefined) return false;
    await writeLink(this.#driver, layerLink(name, digest), found.target);
    this.note(digest, name);
    return true;
  }

  async #search(
    digest: Digest,
    mayRead: (name: RepositoryName) => boolean,
    budget: { left: number },
  ): Promise<RepositoryName | undefined> {
    if (budget.left <= 0 || (await this.#driver.stat(blobKey(digest))) === undefined) return undefined;
    let page: { repositories: RepositoryName[]; more: boolean } = { repositories: [], more: true };
    while (page.more && budget.left > 0) {
      const after = page.repositories.at(-1);
      page = await this.#catalog.list({ limit: 10 * width, ...(after !== undefined && { after }) });
      budget.left -= page.repositories.length;
      const readable = page.repositories.filter(mayRead);
      const found = await parallel(
        readable,
        width,
        async (name) => (await this.#blobs.find(name, digest)) !== undefined,
      );
      const place = found.indexOf(true);
      if (place >= 0) return readable[place];
    }
    return undefined;
  }
}
