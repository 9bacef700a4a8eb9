import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { digestOf } from '../../../storage/digest.ts';

/** What an index or a manifest says of content. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** A layer: how a manifest names it, and how a config does. */
export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

/** A folder in the form of the OCI image-spec's layout. Disposing removes it. */
export interface LayoutFolder extends AsyncDisposable {
  readonly folder: string;
  /** Stores content; an object as JSON. */
  put(mediaType: string, content: Uint8Array | object): Promise<Descriptor>;
  /** Stores files as a layer that is a tar, compressed with gzip. */
  layer(files: Readonly<Record<string, Uint8Array>>): Promise<Layer>;
  /** Stores a config and a manifest; `labels` are the config's. */
  image(layers: readonly Layer[], options?: { architecture?: string; labels?: object }): Promise<Descriptor>;
  /** Stores an index. */
  index(manifests: readonly object[]): Promise<Descriptor>;
  /** Gives some content a name, by which clients find it. */
  name(descriptor: Descriptor, name: string): Promise<void>;
  /** The bytes of some content. */
  read(digest: string): Promise<Buffer>;
  /** Takes some content out again. */
  remove(digest: string): Promise<void>;
}

/** Makes an empty layout. */
export async function makeLayout(): Promise<LayoutFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-layout-'));
  const named: object[] = [];
  const save = (): Promise<void> =>
    writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: named }));
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true });
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await save();

  const layout: LayoutFolder = {
    folder,
    async put(mediaType, content) {
      const bytes = content instanceof Uint8Array ? content : Buffer.from(JSON.stringify(content));
      const digest = digestOf(bytes);
      await writeFile(pathOf(folder, digest), bytes);
      return { mediaType, digest, size: bytes.length };
    },
    async layer(files) {
      const tar = pack();
      for (const [name, bytes] of Object.entries(files)) tar.entry({ name, mtime: new Date(0) }, Buffer.from(bytes));
      tar.finalize();
      const bytes = await buffer(tar);
      const descriptor = await layout.put('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(bytes));
      return { descriptor, diffId: digestOf(bytes) };
    },
    async image(layers, { architecture = 'amd64', labels = {} } = {}) {
      const config = await layout.put('application/vnd.oci.image.config.v1+json', {
        architecture,
        os: 'linux',
        config: { Labels: labels },
        rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
        history: layers.map(() => ({ created: '2026-01-01T00:00:00Z', created_by: 'a test' })),
      });
      const mediaType = 'application/vnd.oci.image.manifest.v1+json';
      const described = layers.map(({ descriptor }) => descriptor);
      return layout.put(mediaType, { schemaVersion: 2, mediaType, config, layers: described });
    },
    index(manifests) {
      const mediaType = 'application/vnd.oci.image.index.v1+json';
      return layout.put(mediaType, { schemaVersion: 2, mediaType, manifests });
    },
    async name(descriptor, name) {
      named.push({ ...descriptor, annotations: { 'org.opencontainers.image.ref.name': name } });
      await save();
    },
    read: (digest) => readFile(pathOf(folder, digest)),
    remove: (digest) => rm(pathOf(folder, digest)),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
  return layout;
}

/** The digests of all that is in a layout: as the bytes have it, whatever the files are named. */
export async function digestsIn(folder: string): Promise<string[]> {
  const names = await readdir(join(folder, 'blobs/sha256'));
  const read = names.map(async (name) => digestOf(await readFile(join(folder, 'blobs/sha256', name))));
  return (await Promise.all(read)).toSorted();
}

/** Where a layout keeps some content. */
function pathOf(folder: string, digest: string): string {
  return join(folder, 'blobs', digest.replace(':', '/'));
}
