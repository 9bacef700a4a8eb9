import type { ReferrerStore } from '../../storage/store.ts';
import { type Handler, part, query, repositoryFor } from './context.ts';
import { linkToNext, pageOf } from './paging.ts';

const contentType = 'application/vnd.oci.image.index.v1+json';

/** GET /v2/<name>/referrers/<digest>: an index of the manifests that refer to one, which need not be there. */
export function listReferrers(store: ReferrerStore): Handler {
  return async (ctx) => {
    const name = repositoryFor(ctx, 'pull');
    const page = pageOf(ctx);
    const artifactType = query(ctx, 'artifactType');
    const { referrers, more } = await store.list(name, part(ctx), { ...page, artifactType });
    if (more) linkToNext(ctx, page.limit, referrers.at(-1)?.digest, { artifactType });
    // "If filtering is requested and applied, the response MUST include a header `OCI-Filters-Applied: artifactType`."
    if (artifactType !== undefined) ctx.set('OCI-Filters-Applied', 'artifactType');
    ctx.body = JSON.stringify({ schemaVersion: 2, mediaType: contentType, manifests: referrers });
    // Clients compare it to the letter: no charset.
    ctx.set('Content-Type', contentType);
  };
}
