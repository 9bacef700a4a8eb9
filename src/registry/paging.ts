import { HttpError } from '../http/errors.ts';
import { type Context, query } from './context.ts';

/** Entries of one answer, at most. */
const largestPage = 10_000;

/** The part of a list that a request asks for. @throws {HttpError} 400 where `n` is no number. */
export function pageOf(ctx: Context): { after?: string; limit: number } {
  const [n, last] = [query(ctx, 'n'), query(ctx, 'last')];
  if (n !== undefined && !/^\d+$/.test(n)) {
    throw new HttpError(400, 'PAGINATION_NUMBER_INVALID', 'n is the number of entries wanted: 0 or more');
  }
  const limit = Math.min(Number(n ?? largestPage), largestPage);
  return last === undefined ? { limit } : { after: last, limit };
}

/** Says where the list goes on after `entries` (RFC 8288; spec.md, "Listing Tags"). */
export function linkToNext(ctx: Context, limit: number, entries: readonly string[]): void {
  const last = entries.at(-1);
  // With n=0 there is no entry to go on from: "the `Link` header MUST NOT be included".
  if (last === undefined) return;
  ctx.set('Link', `<${ctx.path}?${String(new URLSearchParams({ n: String(limit), last }))}>; rel="next"`);
}
