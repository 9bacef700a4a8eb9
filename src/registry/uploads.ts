import type { IncomingMessage } from 'node:http';
import { type Digest, isDigest, parseAlgorithm, parseDigest, splitDigest } from '../../storage/digest.ts';
import { StorageError, UploadOutOfOrderError } from '../../storage/errors.ts';
import { isName, type RepositoryName } from '../../storage/names.ts';
import type { BlobStore, UploadStatus, UploadStore } from '../../storage/store.ts';
import { HttpError } from '../http/errors.ts';
import { hasBody, readBody } from './body.ts';
import { answerEmpty, type Context, type Handler, mayPull, repositoryFor, part, query } from './context.ts';

/**
 * POST /v2/<name>/blobs/uploads/: with `mount`, takes over a blob of the repository `from`, or of any that the caller may
 * pull; with `digest`, stores the body as a blob; else opens a session.
 */
export function startUpload(blobs: BlobStore, uploads: UploadStore): Handler {
  return async (ctx) => {
    const name = repositoryFor(ctx, 'push');
    const owner = ctx.state.rights?.user ?? '';
    const [mount, from, digest] = [query(ctx, 'mount'), query(ctx, 'from'), query(ctx, 'digest')];
    if (mount !== undefined && isDigest(mount) && (from === undefined || isName(from))) {
      if (await blobs.mount(name, mount, { from, mayRead: mayPull(ctx) })) return answerBlob(ctx, name, mount);
    }
    // "If a registry does not support cross-repository mounting or is unable to mount the requested blob, it SHOULD
    // return a 202. This indicates that the upload session has begun" (spec.md, "Mounting a blob").
    if (mount !== undefined || digest === undefined) {
      const algorithm = parseAlgorithm(query(ctx, 'digest-algorithm') ?? 'sha256');
      answerSession(ctx, 202, name, await uploads.create(name, { owner, algorithm }));
      // "The registry MAY include [it] to tell the minimum chunk size" (spec.md, "Pushing a blob in chunks"). Smaller ones
      // are taken too.
      if (uploads.leastChunk !== undefined) ctx.set('OCI-Chunk-Min-Length', String(uploads.leastChunk));
      return;
    }

    const wanted = parseDigest(digest);
    const { id } = await uploads.create(name, { owner, algorithm: splitDigest(wanted).algorithm });
    try {
      await uploads.commit(name, id, wanted, readBody(ctx.req));
    } catch (error) {
      // Nobody was told of this session. Where the store has ended it, there is nothing left to cancel.
      await uploads.cancel(name, id).catch(() => undefined);
      throw error;
    }
    return answerBlob(ctx, name, wanted);
  };
}

/** PATCH: adds bytes at the session's end, in one stream or in chunks. */
export function continueUpload(uploads: UploadStore): Handler {
  return async (ctx) => {
    const [name, id] = [repositoryFor(ctx, 'push'), part(ctx)];
    const at = firstByte(ctx.req);
    answerSession(ctx, 202, name, await inOrder(name, id, uploads.append(name, id, readBody(ctx.req), at)));
  };
}

/** PUT with `digest`: adds the last bytes, if there are any, and ends the session with a blob. */
export function finishUpload(uploads: UploadStore): Handler {
  return async (ctx) => {
    const [name, id] = [repositoryFor(ctx, 'push'), part(ctx)];
    const digest = parseDigest(query(ctx, 'digest') ?? '');
    const at = firstByte(ctx.req);
    const body = hasBody(ctx.req) ? readBody(ctx.req) : undefined;
    await inOrder(name, id, uploads.commit(name, id, digest, body, at));
    answerBlob(ctx, name, digest);
  };
}

/** GET: where the session stands. */
export function uploadStatus(uploads: UploadStore): Handler {
  return async (ctx) => {
    const name = repositoryFor(ctx, 'push');
    answerSession(ctx, 204, name, await uploads.status(name, part(ctx)));
  };
}

/** DELETE: ends the session and drops its bytes. */
export function cancelUpload(uploads: UploadStore): Handler {
  return async (ctx) => {
    await uploads.cancel(repositoryFor(ctx, 'push'), part(ctx));
    answerEmpty(ctx, 204);
  };
}

function answerSession(ctx: Context, status: number, name: RepositoryName, upload: UploadStatus): void {
  answerEmpty(ctx, status);
  ctx.set(sessionFields(name, upload));
}

function answerBlob(ctx: Context, name: RepositoryName, digest: Digest): void {
  answerEmpty(ctx, 201);
  ctx.set({ Location: `/v2/${name}/blobs/${digest}`, 'Docker-Content-Digest': digest });
}

function sessionFields(name: RepositoryName, { id, offset }: UploadStatus): Record<string, string> {
  return {
    // Relative, so that no proxy can spoil it.
    Location: `/v2/${name}/blobs/uploads/${id}`,
    // Both ends count, so there is no way to write that nothing is there: clients expect 0-0 then.
    Range: `0-${Math.max(0, offset - 1)}`,
    'Docker-Upload-UUID': id,
  };
}

/** Where a body's first byte belongs, if the request says so. */
function firstByte(request: IncomingMessage): number | undefined {
  const field = request.headers['content-range'];
  if (field === undefined) return undefined;
  // "[The range] MUST match the following regular expression: ^[0-9]+-[0-9]+$" (spec.md, "Pushing a blob in chunks").
  const [, start, end] = /^(\d{1,15})-(\d{1,15})$/.exec(field) ?? [];
  if (start === undefined || end === undefined) {
    throw new HttpError(400, 'BLOB_UPLOAD_INVALID', 'a chunk is announced as Content-Range: START-END, in bytes');
  }
  const length = request.headers['content-length'];
  if (length !== undefined && Number(length) !== Number(end) - Number(start) + 1) {
    throw new StorageError('SIZE_INVALID', `Content-Range ${field} is not a body of ${length} bytes`);
  }
  return Number(start);
}

/** Tells a client that sent bytes for another place where the session stands. */
async function inOrder<T>(name: RepositoryName, id: string, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    if (!(error instanceof UploadOutOfOrderError)) throw error;
    // "If the registry receives a chunk out of order, it MUST respond with 416" (spec.md, "Pushing a blob in chunks").
    throw new HttpError(416, 'BLOB_UPLOAD_INVALID', error.message, {
      headers: sessionFields(name, { id, offset: error.offset }),
      cause: error,
    });
  }
}
