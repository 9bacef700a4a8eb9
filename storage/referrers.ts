import { type Digest, splitDigest } from './digest.ts';
import type { Driver } from './driver.ts';
import { referrerLink, subjectFolder, tagLink } from './layout.ts';
import { readLink } from './links.ts';
import { parseTag, type RepositoryName, type Tag } from './names.ts';
import { parallel } from './parallel.ts';
import { digestsIn, findManifest } from './revisions.ts';

const width = 8;

/** Bytes of descriptors on one page, about: clients read at most 4 MiB. */
const pageSize = 2 * 1024 * 1024;

/** A manifest that has a subject, as a list of referrers shows it (OCI distribution-spec, "Listing Referrers"). */
export interface Referrer {
  readonly mediaType: string;
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Which referrers are wanted: those that sort after `after`, at most `limit`, all or of one artifact type. */
export interface ReferrersPage {
  readonly after?: string | undefined;
  readonly limit: number;
  readonly artifactType?: string | undefined;
}

/**
 * Which manifests of a repository have which subject. A link for each is put before the manifest is there, and removed
 * after it is gone; each is verified when it is asked for.
 */
export class Referrers {
  readonly #driver: Driver;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  /** Forgets a manifest that was deleted. */
  async forget(name: RepositoryName, subject: Digest, manifest: Digest): Promise<void> {
    await this.#driver.delete(referrerLink(subject, name, manifest), { hint: true });
  }

  /** Those of a subject, which need not be there, in the order of their digests. */
  async list(
    name: RepositoryName,
    subject: Digest,
    { after = '', limit, artifactType }: ReferrersPage,
  ): Promise<{ referrers: Referrer[]; more: boolean }> {
    const all = new Set([
      ...(await digestsIn(this.#driver, subjectFolder(subject, name))),
      ...(await this.#inFallback(name, subject)),
    ]);
    const wanted = [...all].filter((digest) => digest > after).sort();
    const referrers: Referrer[] = [];
    let size = 0;
    for (let at = 0; at < wanted.length; at += width) {
      const some = await parallel(wanted.slice(at, at + width), width, (digest) => this.#find(name, subject, digest));
      for (const one of some) {
        if (one === undefined || (artifactType !== undefined && (one.artifactType ?? '') !== artifactType)) continue;
        if (referrers.length === limit || size > pageSize) return { referrers, more: limit > 0 };
        referrers.push(one);
        size += JSON.stringify(one).length;
      }
    }
    return { referrers, more: false };
  }

  /** What clients listed under a tag, as they do where a registry has no list of referrers. */
  async #inFallback(name: RepositoryName, subject: Digest): Promise<readonly Digest[]> {
    const digest = await readLink(this.#driver, tagLink(name, fallbackTag(subject)));
    const index = digest && (await findManifest(this.#driver, name, digest));
    return index?.children ?? [];
  }

  async #find(name: RepositoryName, subject: Digest, digest: Digest): Promise<Referrer | undefined> {
    const manifest = await findManifest(this.#driver, name, digest);
    if (manifest?.subject !== subject) return undefined;
    const { mediaType, size, artifactType, annotations } = manifest;
    return {
      mediaType,
      digest,
      size,
      ...(artifactType !== undefined && { artifactType }),
      ...(annotations !== undefined && { annotations }),
    };
  }
}

/** The tag of a subject's list: 64 characters of the hex at most (OCI distribution-spec, "Referrers Tag Schema"). */
function fallbackTag(subject: Digest): Tag {
  const { algorithm, hex } = splitDigest(subject);
  return parseTag(`${algorithm}-${hex.slice(0, 64)}`);
}
