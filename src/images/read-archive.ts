import type { Digest } from '../../storage/digest.ts';
import { readDockerImages } from './docker-archive.ts';
import { ImageError } from './errors.ts';
import { indexFile, manifestFile } from './layout.ts';
import { readLayoutImages } from './oci-archive.ts';
import type { ArchivedFile, TarArchive } from './tar-reader.ts';

/** A blob in an archive. */
export interface ArchivedBlob extends ArchivedFile {
  readonly digest: Digest;
}

/** A manifest or an index in an archive, with all that it is made of. */
export interface ArchivedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly blobs: readonly ArchivedBlob[];
  readonly children: readonly ArchivedManifest[];
}

/** What an archive holds under some names, or none, as they are written there. */
export interface ArchivedImage extends ArchivedManifest {
  readonly names: readonly string[];
}

/**
 * The images in an archive: an OCI layout (skopeo, buildah, buildx, Docker since 25), or what `docker save` wrote before.
 * Layers are not checked against their digests; whoever takes them does so. `note` is told what is not as usual.
 * @throws {ImageError}
 */
export async function readImages(archive: TarArchive, note: (text: string) => void): Promise<ArchivedImage[]> {
  // What has both says more by the first.
  const index = archive.find(indexFile);
  if (index !== undefined) return readLayoutImages(archive, index, note);
  const manifest = archive.find(manifestFile);
  if (manifest !== undefined) return readDockerImages(archive, manifest);
  throw new ImageError(`the archive holds no images: it has neither ${indexFile} nor ${manifestFile}`);
}
