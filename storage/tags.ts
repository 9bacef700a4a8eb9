import type { Digest } from './digest.ts';
import type { Driver } from './driver.ts';
import { StorageError } from './errors.ts';
import { manifestsFolder, tagFolder, tagIndexFolder, tagIndexLink, tagLink, tagsFolder } from './layout.ts';
import { readLink } from './links.ts';
import type { KeyedLock } from './lock.ts';
import { isTag, type RepositoryName, type Tag } from './names.ts';
import { type Page, takePage } from './pages.ts';
import { parallel } from './parallel.ts';

const width = 16;

/** Tags of repositories. */
export class Tags {
  readonly #driver: Driver;
  readonly #locks: KeyedLock;

  constructor(driver: Driver, locks: KeyedLock) {
    this.#driver = driver;
    this.#locks = locks;
  }

  /** A tag that points to nothing (registry:2 leaves such) is not listed. */
  async list(name: RepositoryName, page: Page): Promise<{ tags: string[]; more: boolean }> {
    const all = await this.#all(name);
    if (all.length === 0 && (await this.#driver.list(manifestsFolder(name))).length === 0) {
      throw new StorageError('NAME_UNKNOWN', `there is no repository ${name}`);
    }
    const wanted = all.filter((tag) => page.after === undefined || tag > page.after);
    const { entries, more } = await takePage(this.#pointing(name, wanted), page.limit);
    return { tags: entries, more };
  }

  async delete(name: RepositoryName, tag: Tag): Promise<void> {
    await this.#locks.alone(name, async () => {
      const points = await readLink(this.#driver, tagLink(name, tag));
      const deleted = await this.#driver.delete(tagFolder(name, tag));
      if (points === undefined || !deleted) {
        throw new StorageError('MANIFEST_UNKNOWN', `the repository has no tag ${tag}`);
      }
    });
  }

  /** Deletes the tags that point to a manifest. The caller holds the repository's lock. */
  async deleteAll(name: RepositoryName, digest: Digest): Promise<void> {
    await parallel(await this.#all(name), width, async (tag) => {
      const link = tagLink(name, tag);
      if ((await readLink(this.#driver, link)) === digest) {
        // Another process may move the tag at this moment. It keeps it then, without its past, which only registry:2 keeps.
        await this.#driver.delete(tagIndexFolder(name, tag));
        await this.#driver.deleteSame(link, Buffer.from(digest), tagFolder(name, tag));
      }
      // It has pointed there, and no power cut may bring that back.
      else if (await this.#driver.stat(tagIndexLink(name, tag, digest))) await this.#driver.settle([link]);
    });
  }

  /** Every tag that has a folder, in order. */
  async #all(name: RepositoryName): Promise<Tag[]> {
    const entries = await this.#driver.list(tagsFolder(name));
    return entries.flatMap((entry) => (entry.folder && isTag(entry.name) ? [entry.name] : [])).sort();
  }

  async *#pointing(name: RepositoryName, tags: readonly Tag[]): AsyncGenerator<string, void, void> {
    for (let at = 0; at < tags.length; at += width) {
      const some = tags.slice(at, at + width);
      const links = await parallel(some, width, (tag) => readLink(this.#driver, tagLink(name, tag)));
      for (const [place, tag] of some.entries()) if (links[place] !== undefined) yield tag;
    }
  }
}
