import type { Query } from './ast.ts';

/** What is asked for by the time at which it came to the sink, whatever its `@timestamp`. */
export interface ArrivalRequest {
  /** Absent: everything. */
  readonly query?: Query;
  /** Not before this, in ms since 1970, by the clocks of those who delivered. */
  readonly since: number;
  /** At most so many records, 1 to 10,000: those that came last. */
  readonly limit: number;
}

/** A record that came. */
export interface Arrival {
  /** The same whenever it is asked for. */
  readonly id: string;
  /** The ECS document as JSON text. */
  readonly json: string;
}

/** What came; the order is that of `@timestamp` and `event.sequence`, oldest first. */
export interface ArrivalPage {
  readonly records: readonly Arrival[];
  /** Whether others that came earlier may have been left out. */
  readonly cut: boolean;
}

/** Characters of JSON on a page, at most. A record that is longer is a page by itself. */
export const largestArrivals = 4 * 1024 * 1024;
