import { type Digest, isDigest } from './digest.ts';
import type { Driver } from './driver.ts';
import { blobOfKey, repositoriesFolder, rootFolder, uploadsFolder } from './layout.ts';
import { readLink } from './links.ts';

/** What a repository's blobs, manifests among them, take. In bytes. */
export interface RepositoryUsage {
  readonly name: string;
  /** Of blobs that it alone has. */
  readonly own: number;
  /** Of blobs that others have too. */
  readonly shared: number;
}

/** What a store takes, in bytes, at about the time when it was counted. */
export interface Usage {
  readonly repositories: readonly RepositoryUsage[];
  /** All blobs, each once. */
  readonly blobs: number;
  /** Of them, those that no repository has. */
  readonly unreferenced: number;
  /** Unfinished uploads, as far as they are among the keys. */
  readonly uploads: number;
  /** Links, and what else is the store's own. */
  readonly other: number;
}

interface Blob {
  readonly size: number;
  /** Whose it is alone, so far. */
  owner?: Counter | 'several';
}

interface Counter {
  readonly name: string;
  own: number;
  shared: number;
}

/**
 * Counts what each repository takes, in one walk over all keys; what changes meanwhile may be counted or not. In memory
 * are the digests of all blobs, and the links of one repository.
 */
export async function measureUsage(driver: Driver): Promise<Usage> {
  const blobs = new Map<Digest, Blob>();
  const counters = new Map<string, Counter>();
  let [uploads, other] = [0, 0];
  // Of the repository that is being walked, whose links lie side by side.
  let [current, counted] = ['', new Set<Digest>()];
  // In byte order: the store's own first, then all blobs, then the repositories.
  for await (const { key, size } of driver.walk(rootFolder)) {
    const content = blobOfKey(key);
    if (content !== undefined) {
      blobs.set(content, { size });
      continue;
    }
    if (key.startsWith(`${uploadsFolder}/`)) {
      uploads += size;
      continue;
    }
    other += size;
    const link = parseLink(key);
    if (link === undefined) continue;
    if (link.name !== current) [current, counted] = [link.name, new Set()];
    const digest = await target(driver, key, size, link.digest, blobs);
    const blob = digest && blobs.get(digest);
    if (digest === undefined || blob === undefined || counted.has(digest)) continue;
    counted.add(digest);
    const counter = counters.get(link.name) ?? { name: link.name, own: 0, shared: 0 };
    counters.set(link.name, counter);
    count(counter, blob);
  }
  const all = [...blobs.values()];
  return {
    repositories: [...counters.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    blobs: sum(all),
    unreferenced: sum(all.filter(({ owner }) => owner === undefined)),
    uploads,
    other,
  };
}

function sum(blobs: readonly Blob[]): number {
  return blobs.reduce((total, { size }) => total + size, 0);
}

function count(counter: Counter, blob: Blob): void {
  if (blob.owner === undefined) {
    blob.owner = counter;
    counter.own += blob.size;
    return;
  }
  if (blob.owner !== 'several') {
    blob.owner.own -= blob.size;
    blob.owner.shared += blob.size;
    blob.owner = 'several';
  }
  counter.shared += blob.size;
}

const linkPattern = /^\/(.+)\/(?:_layers|_manifests\/revisions)\/(\w+)\/([0-9a-f]+)\/link$/;

/** The repository that a link belongs to, and the digest that it stands for; undefined: the key is no such link. */
function parseLink(key: string): { name: string; digest: Digest } | undefined {
  if (!key.startsWith(`${repositoriesFolder}/`)) return undefined;
  const [, name = '', algorithm = '', hex = ''] = linkPattern.exec(key.slice(repositoriesFolder.length)) ?? [];
  const digest = `${algorithm}:${hex}`;
  return isDigest(digest) ? { name, digest } : undefined;
}

/** What a link leads to. It is read only where registry:2 may have made an alias of it. */
async function target(
  driver: Driver,
  key: string,
  size: number,
  digest: Digest,
  blobs: ReadonlyMap<Digest, Blob>,
): Promise<Digest | undefined> {
  return size === digest.length && blobs.has(digest) ? digest : readLink(driver, key);
}
