import { sha256, type TestBlob, type TestImage } from './images.ts';
import { tar, type TestEntry } from './tars.ts';

/** Where an OCI layout has a blob. */
export function blobEntry({ digest, bytes }: TestBlob): TestEntry {
  return { name: `blobs/${digest.replace(':', '/')}`, content: bytes };
}

/** The files of an image in an OCI layout. */
export function imageEntries({ manifest, config, layers }: TestImage): TestEntry[] {
  return [manifest, config, ...layers].map(blobEntry);
}

/** What says of an OCI layout what it holds. `names`: annotations of each. */
export function indexEntries(
  tops: readonly (TestBlob & { readonly annotations?: Readonly<Record<string, string>> })[],
): TestEntry[] {
  const manifests = tops.map(({ mediaType, digest, bytes, annotations }) => ({
    mediaType,
    digest,
    size: bytes.length,
    ...(annotations !== undefined && { annotations }),
  }));
  return [
    { name: 'index.json', content: JSON.stringify({ schemaVersion: 2, manifests }) },
    { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
  ];
}

/** An image as `docker save` wrote it before version 25: what it is made of, and the files. */
export interface SavedImage {
  readonly config: Buffer;
  readonly layers: readonly Buffer[];
  readonly entries: readonly TestEntry[];
  /** What `manifest.json` says of it. */
  readonly line: {
    readonly Config: string;
    readonly RepoTags: readonly string[] | null;
    readonly Layers: readonly string[];
  };
}

/** Makes one whose layers have these files; `RepoTags` null: it has no name. */
export async function savedImage(RepoTags: readonly string[] | null, texts: readonly string[]): Promise<SavedImage> {
  const layers = await Promise.all(texts.map((text) => tar([{ name: 'file', content: text }])));
  // Written as no other would write it, so that nothing but a byte for byte copy is the same.
  const config = Buffer.from(
    `${JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: layers.map(sha256) } }, null, 1)}\n`,
  );
  const Config = `${sha256(config).slice(7)}.json`;
  const Layers = layers.map((_, place) => `${'0'.repeat(63)}${place}/layer.tar`);
  const entries: TestEntry[] = [{ name: Config, content: config }];
  for (const [place, layer] of layers.entries()) {
    const name = Layers[place] ?? '';
    entries.push({ name: name.replace('layer.tar', ''), type: 'directory' }, { name, content: layer });
  }
  return { config, layers, entries, line: { Config, RepoTags, Layers } };
}

/** An archive of such images. */
export function saved(images: readonly SavedImage[]): Promise<Buffer> {
  const manifest = { name: 'manifest.json', content: JSON.stringify(images.map(({ line }) => line)) };
  return tar([...images.flatMap(({ entries }) => entries), manifest]);
}
