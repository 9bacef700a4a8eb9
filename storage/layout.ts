import { type Digest, isDigest, splitDigest } from './digest.ts';
import type { RepositoryName, Tag } from './names.ts';

/*
 * Every key of the store. What registry:2 knows of is laid out as it does it; it never looks into `_shiplog`.
 *
 *   docker/registry/v2/
 *   ├── blobs/<algorithm>/<first 2 hex>/<hex>/data                    bytes of layers, configs and manifests
 *   ├── repositories/<name>/
 *   │   ├── _layers/<algorithm>/<hex>/link                            blobs that the repository has
 *   │   └── _manifests/
 *   │       ├── revisions/<algorithm>/<hex>/link                      manifests that the repository has
 *   │       └── tags/<tag>/
 *   │           ├── current/link                                      the manifest that the tag points to
 *   │           └── index/<algorithm>/<hex>/link                      those that it ever pointed to
 *   └── _shiplog/
 *       ├── index/configs/<algorithm>/<hex>/<name>/_manifests/<algorithm>/<hex>/link
 *       │                                                             manifests of a repository by their config: hints
 *       ├── index/subjects/<algorithm>/<hex>/<name>/_manifests/<algorithm>/<hex>
 *       │                                                             manifests of a repository by their subject
 *       ├── quarantine/<algorithm>/<hex>                              rotten blobs, out of the way of whole ones
 *       ├── scrub                                                     the last key that an unfinished scrub has read
 *       ├── uploads/<session>…                                        unfinished uploads, as the driver likes
 *       └── tmp/<uuid>                                                on disk: what is being written or thrown away
 *
 * A link is a file of one digest, without a line break. Names are nested folders; parts of names never start with `_`.
 */

const root = 'docker/registry/v2';

/** Where everything is. */
export const rootFolder = root;

/** The folder that has a folder for each algorithm by which blobs are named. */
export const blobsFolder = `${root}/blobs`;

/** Where unfinished uploads are. */
export const uploadsFolder = `${root}/_shiplog/uploads`;

/** Where the disk driver writes what it renames later. */
export const temporaryFolder = `${root}/_shiplog/tmp`;

/** The folder that has a folder for each first part of a name. */
export const repositoriesFolder = `${root}/repositories`;

/** The bytes of a blob or manifest. */
export function blobKey(digest: Digest): string {
  const { algorithm, hex } = splitDigest(digest);
  return `${root}/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}/data`;
}

/** The digest of the blob whose bytes a key has; undefined: the key is no blob's. */
export function blobOfKey(key: string): Digest | undefined {
  const [, algorithm = '', hex = ''] = /\/(\w+)\/[0-9a-f]{2}\/([0-9a-f]+)\/data$/.exec(key) ?? [];
  const digest = `${algorithm}:${hex}`;
  return isDigest(digest) && key === blobKey(digest) ? digest : undefined;
}

/** Where rotten blobs are. */
export const quarantineFolder = `${root}/_shiplog/quarantine`;

/** The bytes of a blob that was found to be rotten. */
export function quarantineKey(digest: Digest): string {
  return `${quarantineFolder}/${digestPath(digest)}`;
}

/** The digest of the blob whose rotten bytes a key has; undefined: the key is none of the quarantine's. */
export function blobInQuarantine(key: string): Digest | undefined {
  const [, algorithm = '', hex = ''] = /\/(\w+)\/([0-9a-f]+)$/.exec(key) ?? [];
  const digest = `${algorithm}:${hex}`;
  return isDigest(digest) && key === quarantineKey(digest) ? digest : undefined;
}

/** How far a scrub has come that was broken off. */
export const scrubKey = `${root}/_shiplog/scrub`;

/** The folder of a repository's link to a blob. */
export function layerFolder(name: RepositoryName, digest: Digest): string {
  return `${repositoriesFolder}/${name}/_layers/${digestPath(digest)}`;
}

export function layerLink(name: RepositoryName, digest: Digest): string {
  return linkIn(layerFolder(name, digest));
}

/** In a repository's folder, what is there once it has had a manifest. */
export const manifestsName = '_manifests';

export function manifestsFolder(name: RepositoryName): string {
  return `${repositoriesFolder}/${name}/${manifestsName}`;
}

/** The folder that has a folder for each algorithm by which a repository's manifests are named. */
export function revisionsFolder(name: RepositoryName): string {
  return `${manifestsFolder(name)}/revisions`;
}

/** The folder of a repository's link to a manifest. */
export function revisionFolder(name: RepositoryName, digest: Digest): string {
  return `${revisionsFolder(name)}/${digestPath(digest)}`;
}

export function revisionLink(name: RepositoryName, digest: Digest): string {
  return linkIn(revisionFolder(name, digest));
}

/** The folder that has a folder for each tag. */
export function tagsFolder(name: RepositoryName): string {
  return `${manifestsFolder(name)}/tags`;
}

export function tagFolder(name: RepositoryName, tag: Tag): string {
  return `${tagsFolder(name)}/${tag}`;
}

/** What a tag points to. */
export function tagLink(name: RepositoryName, tag: Tag): string {
  return linkIn(`${tagFolder(name, tag)}/current`);
}

/** All that a tag ever pointed to. */
export function tagIndexFolder(name: RepositoryName, tag: Tag): string {
  return `${tagFolder(name, tag)}/index`;
}

/** That a tag once pointed to a manifest. */
export function tagIndexLink(name: RepositoryName, tag: Tag, digest: Digest): string {
  return linkIn(`${tagIndexFolder(name, tag)}/${digestPath(digest)}`);
}

/** The folder that has a folder for each algorithm by which a repository's manifests with this config are named. */
export function configFolder(config: Digest, name: RepositoryName): string {
  return `${root}/_shiplog/index/configs/${digestPath(config)}/${name}/_manifests`;
}

/** The folder that has a folder for each algorithm by which a repository's manifests with this subject are named. */
export function subjectFolder(subject: Digest, name: RepositoryName): string {
  return `${root}/_shiplog/index/subjects/${digestPath(subject)}/${name}/_manifests`;
}

/** A link that says that a manifest has this subject. */
export function referrerLink(subject: Digest, name: RepositoryName, manifest: Digest): string {
  return `${subjectFolder(subject, name)}/${digestPath(manifest)}`;
}

/** The folder of the hint that a manifest has this config. */
export function configHintFolder(config: Digest, name: RepositoryName, manifest: Digest): string {
  return `${configFolder(config, name)}/${digestPath(manifest)}`;
}

export function configHint(config: Digest, name: RepositoryName, manifest: Digest): string {
  return linkIn(configHintFolder(config, name, manifest));
}

function digestPath(digest: Digest): string {
  const { algorithm, hex } = splitDigest(digest);
  return `${algorithm}/${hex}`;
}

function linkIn(folder: string): string {
  return `${folder}/link`;
}
