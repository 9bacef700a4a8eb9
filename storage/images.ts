import { z } from 'zod';
import type { Blobs } from './blobs.ts';
import { BoundedMap } from './bounded-map.ts';
import type { Digest } from './digest.ts';
import type { Driver } from './driver.ts';
import { blobKey, configFolder, configHint, configHintFolder, revisionsFolder } from './layout.ts';
import type { Manifest } from './manifest.ts';
import type { RepositoryName } from './names.ts';
import { parallel } from './parallel.ts';
import { digestsIn, findManifest } from './revisions.ts';

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
    const manifest = await findManifest(this.#driver, name, digest);
    if (manifest !== undefined) return { manifests: [digest], labels: await this.#labels(name, manifest) };
    const manifests = await this.#withConfig(name, digest);
    return manifests.length === 0 ? undefined : { manifests, labels: await this.#configLabels(name, digest) };
  }

  /** Notes that a manifest of a repository has this config. */
  async note(name: RepositoryName, config: Digest, manifest: Digest): Promise<void> {
    const key = configHint(config, name, manifest);
    if (await this.#driver.stat(key)) return;
    await this.#driver.put(key, Buffer.from(manifest), { hint: true });
  }

  /** Forgets a manifest that was deleted. */
  async forget(name: RepositoryName, config: Digest, manifest: Digest): Promise<void> {
    await this.#driver.delete(configHintFolder(config, name, manifest), { hint: true });
  }

  async #withConfig(name: RepositoryName, config: Digest): Promise<Digest[]> {
    const noted = await digestsIn(this.#driver, configFolder(config, name));
    const verified = await this.#thatHave(name, config, noted);
    if (verified.length > 0) return verified;
    const readAt = this.#readAt.get(name);
    if (readAt !== undefined && performance.now() - readAt < this.#indexMaxAge) return [];
    this.#readAt.set(name, performance.now());
    const revisions = await digestsIn(this.#driver, revisionsFolder(name));
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
      const manifest = await findManifest(this.#driver, name, digest);
      if (manifest?.config === undefined) return [];
      if (options.note) await this.note(name, manifest.config, digest);
      return manifest.config === config ? [digest] : [];
    });
    return found.flat();
  }

  async #labels(name: RepositoryName, manifest: Manifest): Promise<Record<string, string>> {
    if (manifest.config !== undefined) return this.#configLabels(name, manifest.config);
    const children = await parallel(manifest.children, width, async (digest) => {
      const child = await findManifest(this.#driver, name, digest);
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
