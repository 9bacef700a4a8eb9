import { isDigest } from '../../storage/digest.ts';
import { manifestLimit } from '../../storage/manifest.ts';
import { isByDigest, parseReference } from '../../storage/names.ts';
import type { ManifestStore, TagStore } from '../../storage/store.ts';
import type { MemoryBudget } from '../http/body.ts';
import { HttpError } from '../http/errors.ts';
import { withWhole } from './body.ts';
import { answerEmpty, describeContent, type Handler, mayPull, part, queryAll, repositoryFor } from './context.ts';
import { warn } from './warnings.ts';

const mostTags = 100;

/** Formats of before 2016: `…manifest.v1+json`, and `…manifest.v1+prettyjws` with signatures. */
const schema1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

/**
 * GET and HEAD /v2/<name>/manifests/<reference>: byte for byte as it was pushed. `Accept` is not looked at: there is
 * one form of it, and clients decide better than we do whether they understand it.
 */
export function getManifest(manifests: ManifestStore): Handler {
  return async (ctx) => {
    const [name, reference] = [repositoryFor(ctx, 'pull'), part(ctx)];
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
    const reference = part(ctx);
    // "A registry MAY limit the number of tags, which SHOULD be at least 10" (spec.md, "Pushing Manifests").
    const tags = queryAll(ctx, 'tag');
    if (tags.length > mostTags)
      throw new HttpError(400, 'TAG_INVALID', `a manifest is put with at most ${mostTags} tags`);
    const stored = await withWhole(ctx.req, { limit: manifestLimit, budget }, (bytes) =>
      manifests.put(name, reference, bytes, {
        contentType: contentType === '' ? undefined : contentType,
        tags,
        mayRead: mayPull(ctx),
      }),
    );
    const { digest, subject, elsewhere } = stored;
    answerEmpty(ctx, 201);
    ctx.set({ Location: `/v2/${name}/manifests/${digest}`, 'Docker-Content-Digest': digest });
    if (tags.length > 0) ctx.set('OCI-Tag', tags);
    // "If the `subject` field is present [the registry] MUST set the response header `OCI-Subject`" (spec.md, "Pushing
    // Manifests with Subject").
    if (subject !== undefined) ctx.set('OCI-Subject', subject.digest);
    warn(ctx, [
      ...(subject?.found === false
        ? [`the repository has no manifest ${subject.digest}, to which this one refers`]
        : []),
      ...elsewhere.map((layer) => `layer ${layer} is not stored here, but where the manifest says`),
    ]);
  };
}

/** DELETE /v2/<name>/manifests/<reference>: of a digest the manifest and its tags, of a tag the tag alone. */
export function deleteManifest(manifests: ManifestStore, tags: TagStore): Handler {
  return async (ctx) => {
    const [name, reference] = [repositoryFor(ctx, 'delete'), parseReference(part(ctx))];
    await (isByDigest(reference) ? manifests.delete(name, reference) : tags.delete(name, reference));
    answerEmpty(ctx, 202);
  };
}
