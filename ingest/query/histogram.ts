import type { Query } from './ast.ts';

/** What is counted, and how finely. */
export interface HistogramRequest {
  /** Absent: everything. */
  readonly query?: Query;
  /** `@timestamp` not before this, in ms since 1970: the start of the first bucket. */
  readonly since: number;
  /** `@timestamp` before this, in ms since 1970; after `since`. */
  readonly until: number;
  /** Length of a bucket in whole ms; the last one may reach beyond `until`. */
  readonly interval: number;
  /** A keyword by whose values is counted too: the `mostValues` most frequent ones. */
  readonly field?: string;
}

/** How many records there are, for each bucket in order of time. */
export interface Histogram {
  readonly counts: readonly number[];
  /** Most frequent first. A record with several values counts for each; one without for none. Empty without a field. */
  readonly values: readonly { readonly value: string; readonly counts: readonly number[] }[];
}

/** Values of a field that are told apart. */
export const mostValues = 10;

/** How many buckets there are. */
export function bucketCount({
  since,
  until,
  interval,
}: Pick<HistogramRequest, 'since' | 'until' | 'interval'>): number {
  return Math.ceil((until - since) / interval);
}

/** The most frequent of some values, in order; equally frequent ones by name. */
export function mostFrequent(values: ReadonlyMap<string, readonly number[]>): Histogram['values'] {
  const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);
  return [...values]
    .map(([value, counts]) => ({ value, counts, total: total(counts) }))
    .toSorted((a, b) => b.total - a.total || (a.value < b.value ? -1 : 1))
    .slice(0, mostValues)
    .map(({ value, counts }) => ({ value, counts }));
}
