import { type Digest, isDigest } from './digest.ts';
import type { Driver } from './driver.ts';
import { StorageError } from './errors.ts';
import { blobKey, revisionLink } from './layout.ts';
import { readLink } from './links.ts';
import { type Manifest, manifestLimit, parseManifest } from './manifest.ts';
import type { RepositoryName } from './names.ts';

/** A manifest's bytes; undefined: the repository does not have it. */
export async function readRevision(
  driver: Driver,
  name: RepositoryName,
  digest: Digest,
): Promise<Uint8Array | undefined> {
  const target = await readLink(driver, revisionLink(name, digest));
  return target && driver.get(blobKey(target), manifestLimit);
}

/**
 * A manifest that a repository has, read, with its size in bytes. Undefined: it does not have it, or it is of a kind that
 * this store would not take.
 */
export async function findManifest(
  driver: Driver,
  name: RepositoryName,
  digest: Digest,
): Promise<(Manifest & { readonly size: number }) | undefined> {
  const bytes = await readRevision(driver, name, digest);
  if (bytes === undefined) return undefined;
  try {
    return { ...parseManifest(bytes), size: bytes.length };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return undefined;
  }
}

/** Digests that a folder has as `<algorithm>/<hex>`, in order. */
export async function digestsIn(driver: Driver, folder: string): Promise<Digest[]> {
  const found: Digest[] = [];
  for (const algorithm of ['sha256', 'sha512']) {
    for (const { name } of await driver.list(`${folder}/${algorithm}`)) {
      const digest = `${algorithm}:${name}`;
      if (isDigest(digest)) found.push(digest);
    }
  }
  return found.sort();
}
