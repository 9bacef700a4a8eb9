import { StorageError } from './errors.ts';
import { type Digest, isDigest, parseDigest } from './digest.ts';

declare const repositoryName: unique symbol;
declare const tag: unique symbol;

/** A repository's name that was checked: it is safe as a path of its own. */
export type RepositoryName = string & { readonly [repositoryName]: true };

/** A tag that was checked: it is safe as one part of a path. */
export type Tag = string & { readonly [tag]: true };

/** What names a manifest in its repository. */
export type Reference = Tag | Digest;

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const namePattern = new RegExp(`^${component}(?:/${component})*$`);
const longestName = 255;

/** Whether a text is a repository's name (OCI distribution-spec, "Pulling manifests"). */
export function isName(text: string): text is RepositoryName {
  return text.length <= longestName && namePattern.test(text);
}

/** @throws {StorageError} NAME_INVALID */
export function parseName(text: string): RepositoryName {
  if (!isName(text)) {
    throw new StorageError(
      'NAME_INVALID',
      `a repository's name has at most ${longestName} characters: parts of a-z and 0-9, with . _ __ - inside, joined by /`,
    );
  }
  return text;
}

/** Whether a text is a tag (OCI distribution-spec, "Pulling manifests"). */
export function isTag(text: string): text is Tag {
  return /^\w[\w.-]{0,127}$/.test(text);
}

/** @throws {StorageError} TAG_INVALID */
export function parseTag(text: string): Tag {
  if (!isTag(text)) {
    throw new StorageError(
      'TAG_INVALID',
      'a tag has at most 128 characters: a-z, A-Z, 0-9, _ and, but for the first, . -',
    );
  }
  return text;
}

/** A reference with a colon is a digest, else it is a tag. @throws {StorageError} DIGEST_INVALID, TAG_INVALID */
export function parseReference(text: string): Reference {
  return text.includes(':') ? parseDigest(text) : parseTag(text);
}

/** Which of the two a reference is. */
export function isByDigest(reference: Reference): reference is Digest {
  return isDigest(reference);
}
