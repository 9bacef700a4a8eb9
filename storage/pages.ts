/** Which part of a list is wanted: at most `limit` entries of those that sort after `after`. */
export interface Page {
  readonly after?: string;
  readonly limit?: number;
}

/** The first entries of a sorted stream, as many as a page has, and whether there are more. */
export async function takePage<T extends string>(
  sorted: AsyncIterable<T>,
  limit = Number.POSITIVE_INFINITY,
): Promise<{ entries: T[]; more: boolean }> {
  const entries: T[] = [];
  if (limit === 0) return { entries, more: false };
  for await (const entry of sorted) {
    if (entries.length === limit) return { entries, more: true };
    entries.push(entry);
  }
  return { entries, more: false };
}

/** The place of the first entry that sorts after a text. */
export function firstAfter<T>(sorted: readonly T[], text: string | undefined, keyOf: (entry: T) => string): number {
  if (text === undefined) return 0;
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = sorted[middle];
    if (entry === undefined || keyOf(entry) > text) high = middle;
    else low = middle + 1;
  }
  return low;
}
