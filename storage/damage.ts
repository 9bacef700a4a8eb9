import { Catalog } from './catalog.ts';
import type { Digest } from './digest.ts';
import type { Driver } from './driver.ts';
import { layerLink, revisionLink, revisionsFolder, tagLink, tagsFolder } from './layout.ts';
import { readLink } from './links.ts';
import { isTag, type RepositoryName, type Tag } from './names.ts';
import { parallel } from './parallel.ts';
import { digestsIn, findManifest } from './revisions.ts';

const width = 16;

/** A repository that lacks something which it had. */
export interface DamagedRepository {
  readonly name: RepositoryName;
  /** What cannot be pulled any more: tags, in order, and manifests that neither a tag nor an index names. */
  readonly tags: readonly Tag[];
  readonly untagged: readonly Digest[];
}

/** The repositories that need any of these blobs, in order. All manifests are read. */
export async function findDamage(driver: Driver, lost: ReadonlySet<Digest>): Promise<DamagedRepository[]> {
  if (lost.size === 0) return [];
  const damaged: DamagedRepository[] = [];
  const { repositories } = await new Catalog(driver).list({});
  for (const name of repositories) {
    const { damaged: manifests, parents } = await damagedManifests(driver, name, lost);
    if (manifests.size === 0) continue;
    const untagged = new Set([...manifests].filter((digest) => !parents.has(digest)));
    const entries = await driver.list(tagsFolder(name));
    const tags = await parallel(entries, width, async ({ name: tag }) => {
      const digest = isTag(tag) ? await readLink(driver, tagLink(name, tag)) : undefined;
      if (!isTag(tag) || digest === undefined || !manifests.has(digest)) return [];
      untagged.delete(digest);
      return [tag];
    });
    damaged.push({ name, tags: tags.flat().sort(), untagged: [...untagged].sort() });
  }
  return damaged;
}

/** The manifests of a repository that are lost, or need what is; and by what an index names, the indexes. */
async function damagedManifests(
  driver: Driver,
  name: RepositoryName,
  lost: ReadonlySet<Digest>,
): Promise<{ damaged: ReadonlySet<Digest>; parents: ReadonlyMap<Digest, readonly Digest[]> }> {
  const damaged = new Set<Digest>();
  const parents = new Map<Digest, Digest[]>();
  const damage = (digest: Digest): void => {
    if (damaged.has(digest)) return;
    damaged.add(digest);
    for (const parent of parents.get(digest) ?? []) damage(parent);
  };
  await parallel(await digestsIn(driver, revisionsFolder(name)), width, async (digest) => {
    const gone = await isLost(driver, lost, revisionLink(name, digest), digest);
    if (gone) damage(digest);
    // Where it was not put aside, what lies there is not what it was, or cannot be read.
    const manifest = gone ? undefined : await findManifest(driver, name, digest);
    for (const child of manifest?.children ?? []) {
      parents.set(child, [...(parents.get(child) ?? []), digest]);
      // It may have been found before.
      if (damaged.has(child)) damage(digest);
    }
    for (const content of [...(manifest?.blobs ?? []), ...(manifest?.children ?? [])]) {
      if (await isLost(driver, lost, layerLink(name, content), content)) damage(digest);
    }
  });
  return { damaged, parents };
}

/** Whether the blob that a digest stands for is lost. registry:2 keeps what it was given by sha512 under its sha256. */
async function isLost(driver: Driver, lost: ReadonlySet<Digest>, link: string, digest: Digest): Promise<boolean> {
  if (lost.has(digest)) return true;
  const target = digest.startsWith('sha512:') ? await readLink(driver, link) : undefined;
  return target !== undefined && lost.has(target);
}
