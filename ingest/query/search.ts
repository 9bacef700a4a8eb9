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
