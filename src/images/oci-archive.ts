import { z } from 'zod';
import type { Digest } from '../../storage/digest.ts';
import { readSmall, parseAs } from './archive-json.ts';
import { ImageError } from './errors.ts';
import { blobPath, containerdNameKey, indexFile, refNameKey } from './layout.ts';
import {
  type Descriptor,
  descriptorSchema,
  type Document,
  formatPlatform,
  isManifest,
  readDocument,
} from './manifest.ts';
import { runnable } from './platforms.ts';
import type { ArchivedBlob, ArchivedImage, ArchivedManifest } from './read-archive.ts';
import type { ArchivedFile, TarArchive } from './tar-reader.ts';
import { verified } from './verify.ts';

const indexSchema = z.object({ manifests: z.array(descriptorSchema) });

/** Manifests of one archive that are held in memory, in bytes. */
const mostManifests = 64 * 1024 * 1024;

/** The archive lacks something that an image is made of. */
class IncompleteError extends ImageError {}

/** The images of an OCI layout, whose `index.json` is given. @throws {ImageError} */
export async function readLayoutImages(
  archive: TarArchive,
  index: ArchivedFile,
  note: (text: string) => void,
): Promise<ArchivedImage[]> {
  const { manifests } = parseAs(indexSchema, await readSmall(index, indexFile), indexFile);
  const reader = new LayoutReader(archive, note);
  const images = new Map<Digest, { top: ArchivedManifest; names: string[] }>();
  for (const descriptor of manifests) {
    const image = images.get(descriptor.digest) ?? { top: await reader.top(descriptor), names: [] };
    const { [containerdNameKey]: full, [refNameKey]: short } = descriptor.annotations ?? {};
    const name = full ?? short;
    if (name !== undefined) image.names.push(name);
    images.set(descriptor.digest, image);
  }
  return [...images.values()].map(({ top, names }) => ({ ...top, names }));
}

class LayoutReader {
  readonly #archive: TarArchive;
  readonly #note: (text: string) => void;
  readonly #read = new Map<Digest, ArchivedManifest>();
  #bytes = 0;

  constructor(archive: TarArchive, note: (text: string) => void) {
    this.#archive = archive;
    this.#note = note;
  }

  /** What the archive is of; of an index that lacks some of its images, the one that is there. */
  async top(descriptor: Descriptor): Promise<ArchivedManifest> {
    try {
      return await this.#manifest(descriptor);
    } catch (error) {
      const whole = error instanceof IncompleteError ? await this.#onlyChild(descriptor) : undefined;
      if (whole === undefined) throw error;
      return whole;
    }
  }

  /** Docker's containerd store saves an index with the images that it has, which mostly is one. */
  async #onlyChild(descriptor: Descriptor): Promise<ArchivedManifest | undefined> {
    const { document } = await this.#document(descriptor);
    if (document.kind !== 'index') return undefined;
    const whole: { child: Descriptor; manifest: ArchivedManifest }[] = [];
    for (const child of runnable(document)) {
      try {
        whole.push({ child, manifest: await this.#manifest(child) });
      } catch (error) {
        if (!(error instanceof IncompleteError)) throw error;
      }
    }
    const [first, ...more] = whole;
    if (first === undefined || more.length > 0) return undefined;
    const { platform } = first.child;
    this.#note(
      `the archive has one image of the index ${descriptor.digest}, which is taken alone: ` +
        (platform === undefined ? first.child.digest : formatPlatform(platform)),
    );
    return first.manifest;
  }

  async #manifest(descriptor: Descriptor): Promise<ArchivedManifest> {
    const { digest } = descriptor;
    const known = this.#read.get(digest);
    if (known !== undefined) return known;
    const { document, bytes } = await this.#document(descriptor);
    const [blobs, children]: [ArchivedBlob[], ArchivedManifest[]] = [[], []];
    if (document.kind === 'index') {
      for (const child of document.children) {
        if (isManifest(child)) children.push(await this.#manifest(child));
        else blobs.push(this.#blob(child));
      }
    } else {
      blobs.push(this.#blob(document.config));
      for (const layer of document.layers) {
        if (!document.elsewhere.has(layer.digest) || this.#has(layer)) blobs.push(this.#blob(layer));
        else this.#note(`the layer ${layer.digest} is not in the archive: it is to be had elsewhere`);
      }
    }
    const manifest = { digest, mediaType: document.mediaType, bytes, blobs, children };
    this.#read.set(digest, manifest);
    return manifest;
  }

  async #document(descriptor: Descriptor): Promise<{ document: Document; bytes: Uint8Array }> {
    const file = this.#blob(descriptor);
    this.#bytes += file.size;
    if (this.#bytes > mostManifests)
      throw new ImageError(`the archive has more than ${mostManifests} bytes of manifests`);
    const content = { size: file.size, read: () => verified(file.read(), descriptor) };
    const bytes = await readSmall(content, `the manifest ${descriptor.digest}`);
    return { document: readDocument(bytes), bytes };
  }

  #has({ digest }: Descriptor): boolean {
    return this.#archive.find(blobPath(digest)) !== undefined;
  }

  #blob({ digest, size }: Descriptor): ArchivedBlob {
    const file = this.#archive.find(blobPath(digest));
    if (file === undefined) throw new IncompleteError(`the archive lacks ${digest}`);
    if (file.size === size) return { digest, ...file };
    throw new ImageError(`${digest} has ${file.size} bytes in the archive, and should have ${size}`);
  }
}
