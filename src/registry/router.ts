import type { Next } from 'koa';
import { StorageError } from '../../storage/errors.ts';
import type { Store } from '../../storage/store.ts';
import { MemoryBudget } from '../http/body.ts';
import { HttpError } from '../http/errors.ts';
import { type Accel, deleteBlob, getBlob } from './blobs.ts';
import type { Context, Handler } from './context.ts';
import { toHttpError } from './errors.ts';
import { listRepositories, listTags } from './lists.ts';
import { deleteManifest, getManifest, putManifest } from './manifests.ts';
import { isRegistryPath, type PathName, paths, placeOf } from './paths.ts';
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

/** What answers a path, by the method. */
type Methods = ReadonlyMap<string, Handler>;

/**
 * Everything under /v2/: the OCI distribution API, and the catalog that Docker added to it. Failures are thrown as
 * HttpError.
 */
export function registryApi(options: RegistryOptions): (ctx: Context, next: Next) => Promise<void> {
  const routes = routesOf(options);
  return async (ctx, next) => {
    const { path, method } = ctx;
    if (!isRegistryPath(path)) return next();
    const place = placeOf(path);
    if (place === undefined) throw new HttpError(404, 'UNSUPPORTED', 'the registry API has nothing at this path');
    const methods = routes[place.at];
    const handler = methods.get(method);
    if (options.readOnly && !isReading(method)) {
      throw notAllowed(
        [...methods.keys()].filter(isReading),
        'nothing can be changed here at present: storage.read_only is true',
      );
    }
    if (handler === undefined) throw refusal(method, place.at, methods);
    ctx.state.place = place;
    ctx.state.route = paths[place.at];
    try {
      await handler(ctx);
    } catch (error) {
      throw error instanceof StorageError ? toHttpError(error) : error;
    }
  };
}

/** What answers other paths only: requests to the registry pass it by, unlooked at. */
export function besideRegistry<C extends { readonly path: string }>(
  handler: (ctx: C, next: Next) => unknown,
): (ctx: C, next: Next) => unknown {
  return (ctx, next) => (isRegistryPath(ctx.path) ? next() : handler(ctx, next));
}

function routesOf(options: RegistryOptions): Readonly<Record<PathName, Methods>> {
  const { blobs, uploads, manifests, referrers, tags, catalog } = options.store;
  const [readBlob, readManifest] = [getBlob(blobs, options.accel), getManifest(manifests)];
  // The one place where the switch is asked. Without these the answer is 405, as the specification wants it.
  const deleting = options.delete
    ? { blob: { DELETE: deleteBlob(blobs) }, manifest: { DELETE: deleteManifest(manifests, tags) } }
    : { blob: {}, manifest: {} };
  return {
    base: reading(async (ctx) => {
      ctx.body = {};
    }),
    catalog: reading(listRepositories(catalog)),
    tags: reading(listTags(tags)),
    referrers: reading(listReferrers(referrers)),
    uploads: new Map([['POST', startUpload(blobs, uploads)]]),
    upload: reading(uploadStatus(uploads), {
      PATCH: continueUpload(uploads),
      PUT: finishUpload(uploads),
      DELETE: cancelUpload(uploads),
    }),
    blob: reading(readBlob, deleting.blob),
    manifest: reading(readManifest, {
      PUT: putManifest(manifests, new MemoryBudget(manifestMemory)),
      ...deleting.manifest,
    }),
  };
}

/** What is read by GET and HEAD, and changed by other methods. */
function reading(read: Handler, changing: Readonly<Record<string, Handler>> = {}): Methods {
  return new Map([['GET', read], ['HEAD', read], ...Object.entries(changing)]);
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Why a path does not have a method. */
function refusal(method: string, at: PathName, methods: Methods): HttpError {
  const others = [...methods.keys()];
  // All that can be deleted has DELETE, unless that is switched off.
  return method === 'DELETE' && (at === 'blob' || at === 'manifest')
    ? notAllowed(others, 'nothing can be deleted here: storage.delete is false')
    : notAllowed(others, `${method} is not possible here, but ${others.toSorted().join(', ')}`);
}

function notAllowed(methods: readonly string[], message: string): HttpError {
  return new HttpError(405, 'UNSUPPORTED', message, { headers: { Allow: methods.toSorted().join(', ') } });
}
