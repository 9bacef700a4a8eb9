import { Router } from '@koa/router';
import type { Next } from 'koa';
import { StorageError } from '../../storage/errors.ts';
import type { Store } from '../../storage/store.ts';
import { MemoryBudget } from '../http/body.ts';
import { HttpError } from '../http/errors.ts';
import type { RequestState } from '../http/state.ts';
import type { Context } from './context.ts';
import { type Accel, deleteBlob, getBlob } from './blobs.ts';
import { toHttpError } from './errors.ts';
import { listRepositories, listTags } from './lists.ts';
import { deleteManifest, getManifest, putManifest } from './manifests.ts';
import { listReferrers } from './referrers.ts';
import { cancelUpload, continueUpload, finishUpload, startUpload, uploadStatus } from './uploads.ts';

/** What the registry API serves, and how. */
export interface RegistryOptions {
  readonly store: Store;
  /** Whether blobs, manifests and tags may be deleted. */
  readonly delete: boolean;
  /** Whether nothing at all may be changed. */
  readonly readOnly: boolean;
  /** Whom blobs may be handed over to; undefined: nobody. */
  readonly accel?: Accel | undefined;
}

/** Bytes of manifests that are being received, over all requests. */
const manifestMemory = 128 * 1024 * 1024;

/**
 * Everything under /v2/: the OCI distribution API, and the catalog that Docker added to it. Failures are thrown as
 * HttpError.
 */
export function registryRouter(options: RegistryOptions): Router<RequestState> {
  const { blobs, uploads, manifests, referrers, tags, catalog } = options.store;
  const router = new Router<RequestState>({ sensitive: true, strict: true });
  router.use(tellStorageErrors);
  if (options.readOnly) router.use(refuseWrites);

  router.get('/v2{/}', (ctx) => {
    ctx.body = {};
  });
  router.get('/v2/_catalog', listRepositories(catalog));
  router.get('/v2/*name/tags/list', listTags(tags));
  router.get('/v2/*name/referrers/:digest', listReferrers(referrers));

  const uploadPath = '/v2/*name/blobs/uploads/:id';
  router.post('/v2/*name/blobs/uploads{/}', startUpload(blobs, uploads));
  router.get(uploadPath, uploadStatus(uploads));
  router.patch(uploadPath, continueUpload(uploads));
  router.put(uploadPath, finishUpload(uploads));
  router.delete(uploadPath, cancelUpload(uploads));

  const [blobPath, manifestPath] = ['/v2/*name/blobs/:digest', '/v2/*name/manifests/:reference'];
  router.get(blobPath, getBlob(blobs, options.accel));
  router.get(manifestPath, getManifest(manifests));
  router.put(manifestPath, putManifest(manifests, new MemoryBudget(manifestMemory)));
  // The one place where the switch is asked. Without these routes the answer is 405, as the specification wants it.
  if (options.delete) {
    router.delete(blobPath, deleteBlob(blobs));
    router.delete(manifestPath, deleteManifest(manifests, tags));
  }
  router.on((events) => events.NotFound, refuse(options.delete ? [] : [blobPath, manifestPath]));
  return router;
}

async function refuseWrites(ctx: Context, next: Next): Promise<void> {
  if (ctx.method === 'GET' || ctx.method === 'HEAD') return next();
  const reading = methodsOf(ctx).filter((method) => method === 'GET' || method === 'HEAD');
  throw notAllowed(reading, 'nothing can be changed here at present: storage.read_only is true');
}

async function tellStorageErrors(_ctx: Context, next: Next): Promise<void> {
  try {
    await next();
  } catch (error) {
    throw error instanceof StorageError ? toHttpError(error) : error;
  }
}

/**
 * Answers what no route takes: 405 where the path has other methods, else 404. `undeletable`: routes without DELETE only
 * because that is switched off.
 */
function refuse(undeletable: readonly string[]): (ctx: Context, next: Next) => Promise<void> {
  return async (ctx, next) => {
    if (!/^\/v2(?:\/|$)/.test(ctx.path)) return next();
    const methods = methodsOf(ctx);
    if (methods.length === 0) throw new HttpError(404, 'UNSUPPORTED', 'the registry API has nothing at this path');
    const isOff = ctx.method === 'DELETE' && ctx.matched?.some(({ path }) => undeletable.some((one) => one === path));
    if (isOff === true) throw notAllowed(methods, 'nothing can be deleted here: storage.delete is false');
    throw notAllowed(methods, `${ctx.method} is not possible here, but ${methods.join(', ')}`);
  };
}

/** The methods that a path has. */
function methodsOf(ctx: Context): string[] {
  return [...new Set(ctx.matched?.flatMap((layer) => layer.methods))].toSorted();
}

function notAllowed(methods: readonly string[], message: string): HttpError {
  return new HttpError(405, 'UNSUPPORTED', message, { headers: { Allow: methods.join(', ') } });
}
