import { Buffer } from 'node:buffer';
import type { Part } from './message.ts';

const replacement = '\ufffd';

/**
 * A line that Docker sent as a text in JSON, as it may be a part of a longer one: of one of some lengths in bytes, if
 * more follows. Go writes a byte that is no part of a character as U+FFFD (encoding/json), which are 3: so the cut
 * through a character counts.
 */
export function jsonPart(key: string, text: string, lengths: readonly number[]): Part {
  const bytes = Buffer.from(text);
  return { key, bytes, more: lengths.includes(bytes.length - 2 * brokenAtEnds(text)) };
}

/** Characters that a cut has broken, at the start and the end, as far as they are parts of one of 4 bytes at most. */
function brokenAtEnds(text: string): number {
  let [start, end] = [0, 0];
  while (start < 3 && text[start] === replacement) start += 1;
  while (end < 3 && text[text.length - 1 - end] === replacement) end += 1;
  return start + end;
}
