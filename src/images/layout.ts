import { type Digest, splitDigest } from '../../storage/digest.ts';

/*
 * What an archive of images holds, of the OCI's form (image-spec, image-layout.md) and of `docker save`'s, which is
 * that of moby's image/spec/spec.md:
 *
 *   oci-layout                    the version of the form
 *   index.json                    what it holds, and by which names
 *   blobs/<algorithm>/<hex>       manifests, configs and layers
 *   manifest.json                 Docker's: configs and layers by their paths, and names
 */

export const layoutFile = 'oci-layout';
export const indexFile = 'index.json';
export const manifestFile = 'manifest.json';

/** What `oci-layout` says. */
export const layoutText = '{"imageLayoutVersion":"1.0.0"}';

/** The annotation that names an image: mostly its tag alone. */
export const refNameKey = 'org.opencontainers.image.ref.name';

/** The one by which containerd names it: with host, repository and tag. */
export const containerdNameKey = 'io.containerd.image.name';

/** Where a blob is. */
export function blobPath(digest: Digest): string {
  const { algorithm, hex } = splitDigest(digest);
  return `blobs/${algorithm}/${hex}`;
}
