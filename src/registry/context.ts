import type { ParameterizedContext } from 'koa';
import type { Digest } from '../../storage/digest.ts';
import { StorageError } from '../../storage/errors.ts';
import { parseName, type RepositoryName } from '../../storage/names.ts';
import type { Action, RequestState } from '../http/state.ts';

/** A request under /v2/, and its answer. */
export type Context = ParameterizedContext<RequestState>;

/** Answers one request. */
export type Handler = (ctx: Context) => Promise<void>;

/**
 * The repository that a path names, for something that the caller must be allowed to do there.
 * @throws {StorageError} NAME_INVALID @throws {HttpError} 401 or 403
 */
export function repositoryFor(ctx: Context, action: Action): RepositoryName {
  const name = nameOf(ctx);
  const { rights } = ctx.state;
  if (rights === undefined) throw new Error('the request was not authenticated');
  if (!rights.may(action, name)) throw rights.refusal(action, name);
  return name;
}

/** Which repositories the caller may pull. */
export function mayPull(ctx: Context): (name: string) => boolean {
  return (name) => ctx.state.rights?.may('pull', name) === true;
}

function nameOf(ctx: Context): RepositoryName {
  // A path's parts are decoded, by which `a%2Fb` would be a second way to write `a/b`.
  if (ctx.path.includes('%') && /%2f/i.test(ctx.path))
    throw new StorageError('NAME_INVALID', 'slashes in a path are not to be encoded');
  return parseName(ctx.state.place?.name ?? '');
}

/** What stands behind the repository's name in the path: a digest, a reference or a session's id. */
export function part(ctx: Context): string {
  return ctx.state.place?.part ?? '';
}

/** A parameter of the query; of several of one name, the first. */
export function query(ctx: Context, name: string): string | undefined {
  const value = ctx.query[name];
  return Array.isArray(value) ? value[0] : value;
}

/** All parameters of one name in the query. */
export function queryAll(ctx: Context, name: string): string[] {
  return [ctx.query[name] ?? []].flat();
}

/** Answers without a body. */
export function answerEmpty(ctx: Context, status: number): void {
  // Koa makes it a 204 when it learns that there is no body; so the status comes last.
  ctx.body = null;
  ctx.status = status;
}

/**
 * Sets the header of content that is named by its digest. False: the client has it already, and is told so with a 304.
 * `forever`: the request named the digest, so the answer never changes.
 */
export function describeContent(ctx: Context, digest: Digest, contentType: string, forever: boolean): boolean {
  ctx.set({
    // Not by `ctx.type`, which would add a charset.
    'Content-Type': contentType,
    'Docker-Content-Digest': digest,
    ETag: `"${digest}"`,
    'Cache-Control': forever ? 'max-age=31536000, immutable' : 'no-cache',
  });
  ctx.status = 200;
  if (!ctx.fresh) return true;
  ctx.status = 304;
  return false;
}
