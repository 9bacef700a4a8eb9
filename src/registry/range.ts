import type { ByteRange } from '../../storage/store.ts';

/** Ranges of one answer: podman asks for no more (containers/storage, `maxNumberMissingChunks`). */
const mostRanges = 1024;

/**
 * Reads a Range field for content of `size` bytes (RFC 9110, section 14). An empty list means that no range of it can
 * be had: 416. Undefined means that the field is to be ignored, so that the whole content is the answer: the field is
 * no list of byte ranges, or there are too many of them, or they ask for more than the whole together (section 14.2 allows
 * it, against clients that multiply the work by small or overlapping ranges).
 */
export function parseRange(field: string, size: number): ByteRange[] | undefined {
  const list = /^bytes=(.*)$/i.exec(field)?.[1];
  if (list === undefined) return undefined;
  const ranges: ByteRange[] = [];
  let total = 0;
  for (const spec of list.split(',').map((part) => part.trim())) {
    // "A recipient MUST parse and ignore a reasonable number of empty list elements" (RFC 9110, section 5.6.1.2).
    if (spec === '') continue;
    const [, first, last] = /^(\d*)-(\d*)$/.exec(spec) ?? [];
    if (first === undefined || last === undefined || first + last === '') return undefined;
    // "If the selected representation is shorter than the specified suffix-length, the entire representation is used."
    const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
    // "If the last-pos value is […] greater than or equal to the current length, [it] is interpreted as [its] end."
    const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
    // Nothing of this one can be had. One whose ends are exchanged is invalid, and told so as well.
    if (start > end) continue;
    ranges.push({ start, end });
    total += end - start + 1;
    if (total > size || ranges.length > mostRanges) return undefined;
  }
  return ranges;
}
