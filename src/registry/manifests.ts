import { isDigest } from '../../storage/digest.ts';
import { manifestLimit } from '../../storage/manifest.ts';
import { isByDigest, parseReference } from '../../storage/names.ts';
import type { ManifestStore, TagStore } from '../../storage/store.ts';
import type { MemoryBudget } from '../http/body.ts';
import { HttpError } from '../http/errors.ts';
import { withWhole } from './body.ts';
import { answerEmpty, describeContent, type Handler, repositoryFor, param } from './context.ts';

/** Formats of before 2016: `…manifest.v1+json`, and `…manifest.v1+prettyjws` with signatures. */
const schema1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

/**
 * GET and HEAD /v2/<name>/manifests/<reference>: byte for byte as it was pushed. `Accept` is not looked at: there is
 * one form of it, and clients decide better than we do whether they understand it.
 */
export function getManifest(manifests: ManifestStore): Handler {
  return async (ctx) => {
    const [name, reference] = [repositoryFor(ctx, 'pull'), param(ctx, 'reference')];
    if (ctx.method === 'HEAD') {
      const { digest, mediaType, size } = await manifests.stat(name, reference);
      if (describeContent(ctx, digest, mediaType, isDigest(reference))) ctx.length = size;
      return;
    }
    const { digest, mediaType, bytes } = await manifests.get(name, reference);
    if (!describeContent(ctx, digest, mediaType, isDigest(reference))) return;
    ctx.body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  };
}

/** PUT /v2/<name>/manifests/<reference>: the image is there when this is answered, and stays. */
export function putManifest(manifests: ManifestStore, budget: MemoryBudget): Handler {
  return async (ctx) => {
    const name = repositoryFor(ctx, 'push');
    const contentType = ctx.request.type;
    if (schema1.test(contentType)) {
      throw new HttpError(
        400,
        'MANIFEST_INVALID',
        'Docker schema 1 manifests are not taken: push the image again with Docker 1.10 or later, or convert it with skopeo copy --format=oci',
      );
    }
    const reference = param(ctx, 'reference');
    const stored = await withWhole(ctx.req, { limit: manifestLimit, budget }, (bytes) =>
      manifests.put(name, reference, bytes, contentType === '' ? undefined : contentType),
    );
    answerEmpty(ctx, 201);
    ctx.set({ Location: `/v2/${name}/manifests/${stored.digest}`, 'Docker-Content-Digest': stored.digest });
    // "If the `subject` field is present [the registry] MUST set the response header `OCI-Subject`" (spec.md, "Pushing
    // Manifests with Subject").
    if (stored.subject !== undefined) ctx.set('OCI-Subject', stored.subject);
  };
}

/** DELETE /v2/<name>/manifests/<reference>: of a digest the manifest and its tags, of a tag the tag alone. */
export function deleteManifest(manifests: ManifestStore, tags: TagStore): Handler {
  return async (ctx) => {
    const [name, reference] = [repositoryFor(ctx, 'delete'), parseReference(param(ctx, 'reference'))];
    await (isByDigest(reference) ? manifests.delete(name, reference) : tags.delete(name, reference));
    answerEmpty(ctx, 202);
  };
}
