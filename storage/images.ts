import { z } from 'zod';
import type { Blobs } from './blobs.ts';
import { BoundedMap } from './bounded-map.ts';
import { type Digest, isDigest } from './digest.ts';
import type { Driver } from './driver.ts';
import { StorageError } from './errors.ts';
import { blobKey, configFolder, configHint, configHintFolder, revisionLink, revisionsFolder } from './layout.ts';
import { readLink } from './links.ts';
import { type Manifest, manifestLimit, parseManifest } from './manifest.ts';
import type { RepositoryName } from './names.ts';
import { parallel } from './parallel.ts';

const width = 16;
const configLimit = 4 * 1024 * 1024;

/** What an image's config says of labels (OCI image-spec, config.md). */
const configSchema = z.object({
  config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
});

/** What is known of an image. */
export interface ImageDescription {
  readonly manifests: Digest[];
  readonly labels: Record<string, string>;
}

/**
 * What a digest in a log line leads to. Which manifests have a config is noted beside the layout, when a manifest is put
 * or found: a hint, which is checked each time. What another registry pushed is found by reading the repository's
 * manifests, at most once in `indexMaxAge` ms for each repository.
 */
export class Images {
  readonly #driver: Driver;
  readonly #blobs: Blobs;
  readonly #indexMaxAge: number;
  /** When a repository's manifests were read last: a monotonic time in ms. */
  readonly #readAt = new BoundedMap<RepositoryName, number>(10_000);

  constructor(driver: Driver, blobs: Blobs, indexMaxAge: number) {
    this.#driver = driver;
    this.#blobs = blobs;
    this.#indexMaxAge = indexMaxAge;
  }

  async describe(name: RepositoryName, digest: Digest): Promise<ImageDescription | undefined> {
    const manifest = await this.#manifest(name, digest);
    if (manifest !== undefined) return { manifests: [digest], labels: await this.#labels(name, manifest) };
    const manifests = await this.#withConfig(name, digest);
    return manifests.length === 0 ? undefined : { manifests, labels: await this.#configLabels(name, digest) };
  }

  /** Notes that a manifest of a repository has this config. */
  async note(name: RepositoryName, config: Digest, manifest: Digest): Promise<void> {
    await this.#driver.put(configHint(config, name, manifest), Buffer.from(manifest), { hint: true });
  }

  /** Forgets what was noted of a manifest that is about to be deleted. */
  async forget(name: RepositoryName, digest: Digest): Promise<void> {
    const manifest = await this.#manifest(name, digest);
    if (manifest?.config === undefined) return;
    await this.#driver.delete(configHintFolder(manifest.config, name, digest), { hint: true });
  }

  async #withConfig(name: RepositoryName, config: Digest): Promise<Digest[]> {
    const noted = await this.#digestsIn(configFolder(config, name));
    const verified = await this.#thatHave(name, config, noted);
    if (verified.length > 0) return verified;
    const readAt = this.#readAt.get(name);
    if (readAt !== undefined && performance.now() - readAt < this.#indexMaxAge) return [];
    this.#readAt.set(name, performance.now());
    const revisions = await this.#digestsIn(revisionsFolder(name));
    return this.#thatHave(name, config, revisions, { note: true });
  }

  /** Those manifests that are there and have this config; on the way, each one's config may be noted. */
  async #thatHave(
    name: RepositoryName,
    config: Digest,
    manifests: readonly Digest[],
    options = { note: false },
  ): Promise<Digest[]> {
    const found = await parallel(manifests, width, async (digest) => {
      const manifest = await this.#manifest(name, digest);
      if (manifest?.config === undefined) return [];
      if (options.note) await this.note(name, manifest.config, digest);
      return manifest.config === config ? [digest] : [];
    });
    return found.flat();
  }

  /** Digests that are laid out as folders: `<algorithm>/<hex>`. */
  async #digestsIn(folder: string): Promise<Digest[]> {
    const found: Digest[] = [];
    for (const algorithm of ['sha256', 'sha512']) {
      for (const { name } of await this.#driver.list(`${folder}/${algorithm}`)) {
        const digest = `${algorithm}:${name}`;
        if (isDigest(digest)) found.push(digest);
      }
    }
    return found.sort();
  }

  /** Undefined: the repository does not have it, or it is of a kind that this store would not take. */
  async #manifest(name: RepositoryName, digest: Digest): Promise<Manifest | undefined> {
    const target = await readLink(this.#driver, revisionLink(name, digest));
    const bytes = target && (await this.#driver.get(blobKey(target), manifestLimit));
    if (bytes === undefined) return undefined;
    try {
      return parseManifest(bytes);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      return undefined;
    }
  }

  async #labels(name: RepositoryName, manifest: Manifest): Promise<Record<string, string>> {
    if (manifest.config !== undefined) return this.#configLabels(name, manifest.config);
    const children = await parallel(manifest.children, width, async (digest) => {
      const child = await this.#manifest(name, digest);
      return child?.config === undefined ? undefined : this.#configLabels(name, child.config);
    });
    const [first = {}, ...others] = children.filter((labels) => labels !== undefined);
    return Object.fromEntries(
      Object.entries(first).filter(([key, value]) => others.every((labels) => labels[key] === value)),
    );
  }

  /** The labels that a config has; none if it is no image's. */
  async #configLabels(name: RepositoryName, digest: Digest): Promise<Record<string, string>> {
    const blob = await this.#blobs.find(name, digest);
    const bytes = blob && (await this.#driver.get(blobKey(blob.target), configLimit));
    if (bytes === undefined) return {};
    const { data } = configSchema.safeParse(parseJson(bytes));
    return data?.config?.Labels ?? {};
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
