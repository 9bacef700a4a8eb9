import type { Catalog, TagStore } from '../../storage/store.ts';
import { type Handler, mayPull, repositoryFor } from './context.ts';
import { linkToNext, pageOf } from './paging.ts';

/** GET /v2/<name>/tags/list */
export function listTags(store: TagStore): Handler {
  return async (ctx) => {
    const name = repositoryFor(ctx, 'pull');
    const page = pageOf(ctx);
    const { tags, more } = await store.list(name, page);
    if (more) linkToNext(ctx, page.limit, tags.at(-1));
    ctx.body = { name, tags };
  };
}

/** GET /v2/_catalog: what the caller may pull. It is Docker's own, and no part of the specification. */
export function listRepositories(catalog: Catalog): Handler {
  return async (ctx) => {
    const page = pageOf(ctx);
    const { repositories, more } = await catalog.list({ ...page, only: mayPull(ctx) });
    if (more) linkToNext(ctx, page.limit, repositories.at(-1));
    ctx.body = { repositories };
  };
}
