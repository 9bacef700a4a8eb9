import type { Query } from './ast.ts';

/** What is looked for. */
export interface SearchRequest {
  /** Absent: everything. */
  readonly query?: Query;
  /** `@timestamp` not before this, in ms since 1970. */
  readonly since?: number;
  /** `@timestamp` before this, in ms since 1970. */
  readonly until?: number;
  /** 1 to 50,000 records. */
  readonly limit: number;
  /** A cursor from `SearchPage.next`: only what comes after it, which is older. */
  readonly before?: string;
}

/** What was found. */
export interface SearchPage {
  /** ECS documents as JSON text, newest first. May be fewer than asked for, even none, before the end: see `next`. */
  readonly records: readonly string[];
  /** The cursor to go on with; absent at the end. */
  readonly next?: string;
}

/** Characters of JSON on a page, at most: lines may be long. A record that is longer is a page by itself. */
export const largestPage = 32 * 1024 * 1024;

/** How many of what was found, in order, make a page of at most `limit`, and of at most so many characters. */
export function pageLength(found: readonly { readonly json: string }[], limit: number, most = largestPage): number {
  let characters = 0;
  for (const [index, { json }] of found.entries()) {
    characters += json.length;
    if (index === limit || (index > 0 && characters > most)) return index;
  }
  return found.length;
}
