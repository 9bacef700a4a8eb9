/**
 * Does the work for each item, for so many at a time; the results have the items' order. After a failure no more is begun,
 * and what was begun has ended when this rejects.
 */
export async function parallel<T, R>(items: Iterable<T>, width: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const all = [...items];
  const entries = all.entries();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const [index, item] of entries) {
      if (failed) return;
      try {
        results[index] = await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(width, all.length) }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return results;
}
