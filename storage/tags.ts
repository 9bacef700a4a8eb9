import { BoundedMap } from './bounded-map.ts';
import type { Digest } from './digest.ts';
import type { Driver } from './driver.ts';
import { StorageError } from './errors.ts';
import { manifestsFolder, tagFolder, tagIndexFolder, tagIndexLink, tagLink, tagsFolder } from './layout.ts';
import { readLink } from './links.ts';
import type { KeyedLock } from './lock.ts';
import { isTag, type RepositoryName, type Tag } from './names.ts';
import { firstAfter, type Page } from './pages.ts';
import { parallel } from './parallel.ts';

const width = 16;

/** Tags of one repository that are kept in memory. */
const longestKept = 10_000;

/** Tags that have a folder, in order, and those of them that were seen to point to something. */
interface TagList {
  readonly tags: readonly Tag[];
  readonly pointing: Set<Tag>;
}

/** Tags of repositories. */
export class Tags {
  readonly #driver: Driver;
  readonly #locks: KeyedLock;
  readonly #kept = new BoundedMap<RepositoryName, TagList & { version: string }>(50);

  constructor(driver: Driver, locks: KeyedLock) {
    this.#driver = driver;
    this.#locks = locks;
  }

  /** A tag that points to nothing (registry:2 leaves such) is not listed. */
  async list(
    name: RepositoryName,
    { after, limit = Number.POSITIVE_INFINITY }: Page,
  ): Promise<{ tags: string[]; more: boolean }> {
    const { tags, pointing } = await this.#listOf(name);
    if (limit === 0) return { tags: [], more: false };
    const found: Tag[] = [];
    for (let at = firstAfter(tags, after, (tag) => tag); at < tags.length && found.length <= limit; at += width) {
      const some = tags.slice(at, at + width);
      const unsure = some.filter((tag) => !pointing.has(tag));
      await parallel(unsure, width, async (tag) => {
        if ((await readLink(this.#driver, tagLink(name, tag))) !== undefined) pointing.add(tag);
      });
      found.push(...some.filter((tag) => pointing.has(tag)));
    }
    return { tags: found.slice(0, limit), more: found.length > limit };
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

  /**
   * The tags' folder is read again whenever it has changed, so that a tag which anyone adds or removes counts at once. A
   * tag that pointed to something does so as long as its folder is there.
   */
  async #listOf(name: RepositoryName): Promise<TagList> {
    const version = await this.#driver.version?.(tagsFolder(name));
    const kept = this.#kept.get(name);
    if (kept !== undefined && kept.version === version) return kept;
    const tags = await this.#all(name);
    if (tags.length === 0 && (await this.#driver.list(manifestsFolder(name))).length === 0) {
      throw new StorageError('NAME_UNKNOWN', `there is no repository ${name}`);
    }
    const list = { tags, pointing: new Set<Tag>() };
    if (version !== undefined && tags.length <= longestKept) this.#kept.set(name, { ...list, version });
    return list;
  }
}
