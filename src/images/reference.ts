import { isByDigest, isName, isTag, type Reference, type RepositoryName, type Tag } from '../../storage/names.ts';
import { type Digest, isDigest } from '../../storage/digest.ts';
import { parseImageName } from '../../ingest/parse/image-name.ts';

/** What a user typed for an image: `team/web:1.4`, `team/web@sha256:…`, or its repository alone. */
export interface ImageReference {
  readonly repository: RepositoryName;
  readonly reference?: Reference;
}

/** An image's name as archives have it. */
export interface ArchivedName {
  /** Absent where the archive gives a tag alone. */
  readonly repository?: RepositoryName;
  readonly tag: Tag;
}

/** Takes a text apart; undefined where it names no image. */
export function parseReference(text: string): ImageReference | undefined {
  const [, repository = '', mark, rest = ''] = /^([^:@]*)(?:([:@])(.*))?$/s.exec(text) ?? [];
  if (!isName(repository)) return undefined;
  if (mark === undefined) return { repository };
  const isReference = (reference: string): reference is Digest | Tag =>
    mark === '@' ? isDigest(reference) : isTag(reference);
  return isReference(rest) ? { repository, reference: rest } : undefined;
}

/** What is wrong with a text that names no image, where that is the case of its repository alone; else nothing. */
export function faultOfCase(text: string): string {
  const [name = ''] = text.split(/[:@]/);
  const lower = name.toLowerCase();
  return name !== lower && isName(lower) ? `a repository's name has no upper case: ${lower}, not ${name}; ` : '';
}

/** `team/web:1.4` or `team/web@sha256:…` */
export function formatReference(repository: string, reference: Reference): string {
  return `${repository}${isByDigest(reference) ? '@' : ':'}${reference}`;
}

/**
 * Reads a name of an archive: `registry.corp/team/web:1.4`, `docker.io/library/busybox:latest`, or a tag alone. The
 * registry's host is left out, and Docker Hub's `library/` with it. Undefined where it cannot be a name here.
 */
export function parseArchivedName(text: string): ArchivedName | undefined {
  if (isTag(text)) return { tag: text };
  const { repository = '', tag = 'latest', name } = parseImageName(text);
  const short = name.startsWith('docker.io/') ? repository.replace(/^library\//, '') : repository;
  return isName(short) && isTag(tag) ? { repository: short, tag } : undefined;
}

/** A name as containerd has it: with a host, which is Docker Hub's where there is none. */
export function containerdName(repository: RepositoryName, tag: Tag): string {
  return `docker.io/${repository.includes('/') ? '' : 'library/'}${repository}:${tag}`;
}
