import type { Rendering } from './shipper.ts';
import type { Journal } from './spool/journal.ts';
import type { Position } from './spool/reader.ts';

/**
 * Marks in the spool that what has waited for its rest all the time between two looks, `patience` ms apart, is whole.
 * Only one mark is under way at a time. `read`: how far the journal was read.
 */
export function markUnfinished(
  journal: Pick<Journal, 'mark'>,
  rendering: Pick<Rendering, 'waitsBefore'>,
  read: () => Position | undefined,
  patience: number,
): Disposable {
  let before: Position | undefined;
  let marked: Position | undefined;
  const look = async (): Promise<void> => {
    const place = before;
    before = read();
    if (place === undefined || !rendering.waitsBefore(place)) return;
    if (marked !== undefined && rendering.waitsBefore(marked)) return;
    marked = place;
    // What takes no mark now is asked again at the next look.
    if (!(await journal.mark(place))) marked = undefined;
  };
  const timer = setInterval(() => void look(), patience).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
