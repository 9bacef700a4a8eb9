import { Buffer, isAscii, isUtf8 } from 'node:buffer';
import type { StoredBlock } from '../block.ts';
import { framesOf, type Frame } from './frames.ts';

/** A frame's text, and what is odd about it. */
export interface Text {
  readonly frame: Frame;
  readonly text: string;
  readonly tags: readonly string[];
}

const none: readonly string[] = [];

/** The frames of a block as texts, without the CR or NUL at their end. A block of ASCII alone is decoded at once. */
export function* textsOf(block: StoredBlock): Generator<Text, void, undefined> {
  const { buffer, byteOffset, byteLength } = block.payload;
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  // What is no text is not read as one, but for being shown.
  const ascii = block.kind === 'forward' || isAscii(bytes) ? bytes.toString('latin1') : undefined;
  for (const frame of framesOf(block)) {
    const end = endOfContent(bytes, frame);
    const text = ascii === undefined ? bytes.toString('utf8', frame.start, end) : ascii.slice(frame.start, end);
    const invalid = text.includes('\ufffd') && !isUtf8(bytes.subarray(frame.start, end));
    const odd = invalid || frame.cut || frame.continued || frame.unterminated;
    yield { frame, text, tags: odd ? tagsOf(frame, invalid) : none };
  }
}

/** A frame's bytes, without the LF that a counted frame or a datagram may end in. */
export function contentOf({ payload }: StoredBlock, { start, end }: Frame): Buffer {
  const last = end > start && payload[end - 1] === 0x0a ? end - 1 : end;
  return Buffer.from(payload.buffer, payload.byteOffset + start, last - start);
}

/** The text of a line that was put together, with its tags; `tags` are those of its first piece. */
export function joinedText(
  bytes: Buffer,
  tags: readonly string[],
  cut: boolean,
): { readonly message: string; readonly tags: readonly string[] } {
  const last = bytes.at(-1);
  const whole = last === 0x0d || last === 0 ? bytes.subarray(0, -1) : bytes;
  const invalid = !isUtf8(whole);
  const others = tags.filter((tag) => tag !== 'invalid_utf8');
  return {
    message: whole.toString(),
    tags: [...others, ...(cut ? ['truncated'] : []), ...(invalid ? ['invalid_utf8'] : [])],
  };
}

/** A counted frame and a datagram may end in LF; a terminal leaves CR, and Python's SysLogHandler NUL. */
function endOfContent(bytes: Buffer, { start, end, cut }: Frame): number {
  if (cut) return end;
  const line = end > start && bytes[end - 1] === 0x0a ? end - 1 : end;
  return line > start && (bytes[line - 1] === 0x0d || bytes[line - 1] === 0) ? line - 1 : line;
}

function tagsOf(frame: Frame, invalid: boolean): string[] {
  return [
    ...(frame.cut || frame.continued ? ['truncated'] : []),
    ...(frame.unterminated ? ['unterminated'] : []),
    ...(invalid ? ['invalid_utf8'] : []),
  ];
}
