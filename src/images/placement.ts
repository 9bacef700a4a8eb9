import type { Digest } from '../../storage/digest.ts';
import { isByDigest, parseTag, type RepositoryName, type Tag } from '../../storage/names.ts';
import { ImageError } from './errors.ts';
import type { ArchivedImage } from './read-archive.ts';
import { type ArchivedName, formatReference, type ImageReference, parseArchivedName } from './reference.ts';

/** Where an image of an archive goes: to a repository, under some tags, or by its digest alone. */
export interface Placement {
  readonly repository: RepositoryName;
  readonly image: ArchivedImage;
  readonly tags: readonly Tag[];
}

/**
 * Where the images of an archive go: by the names that it gives them, or to the repository or the tag that was asked
 * for. An image that has no name is Docker's `latest` if it is the only one.
 * @throws {ImageError} where that does not say it
 */
export function place(images: readonly ArchivedImage[], target: ImageReference | undefined): Placement[] {
  if (images.length === 0) throw new ImageError('the archive holds no images');
  const placements = images.flatMap((image) => placeOne(image, target, images.length === 1));
  const taken = new Map<string, Digest>();
  for (const { repository, image, tags } of placements) {
    for (const name of tags.map((tag) => formatReference(repository, tag))) {
      if ((taken.get(name) ?? image.digest) !== image.digest) {
        throw new ImageError(`the archive holds two images that would both be ${name}`);
      }
      taken.set(name, image.digest);
    }
  }
  return placements;
}

function placeOne(image: ArchivedImage, target: ImageReference | undefined, isOnly: boolean): Placement[] {
  if (target === undefined) return placeByName(image);
  const { repository, reference } = target;
  if (reference === undefined) {
    const tags = [...new Set(image.names.map((name) => readName(name).tag))];
    return [{ repository, image, tags: tags.length === 0 && isOnly ? [parseTag('latest')] : tags }];
  }
  if (isByDigest(reference) || !isOnly) {
    throw new ImageError(
      `the archive holds several images, which cannot all be ${formatReference(repository, reference)}`,
    );
  }
  return [{ repository, image, tags: [reference] }];
}

function placeByName(image: ArchivedImage): Placement[] {
  const tags = new Map<RepositoryName, Set<Tag>>();
  for (const { repository, tag } of image.names.map(readName)) {
    if (repository === undefined) throw new ImageError(`the archive names the tag ${tag} alone; say which repository`);
    tags.set(repository, (tags.get(repository) ?? new Set()).add(tag));
  }
  if (tags.size === 0) throw new ImageError(`the archive gives ${image.digest} no name; say which repository`);
  return [...tags].map(([repository, tags]) => ({ repository, image, tags: [...tags] }));
}

function readName(name: string): ArchivedName {
  const read = parseArchivedName(name);
  if (read === undefined)
    throw new ImageError(`the archive's name ${JSON.stringify(name)} cannot be one here; give another`);
  return read;
}
