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

/**
 * Says that the list goes on after `last`, for a request with the same `filters` (RFC 8288; spec.md, "Listing Tags").
 * With n=0 there is no entry to go on from: "the `Link` header MUST NOT be included".
 */
export function linkToNext(
  ctx: Context,
  limit: number,
  last: string | undefined,
  filters: Readonly<Record<string, string | undefined>> = {},
): void {
  if (last === undefined) return;
  const parameters = new URLSearchParams({ n: String(limit), last });
  for (const [name, value] of Object.entries(filters)) if (value !== undefined) parameters.set(name, value);
  ctx.set('Link', `<${ctx.path}?${String(parameters)}>; rel="next"`);
}
