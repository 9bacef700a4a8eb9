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
  const ascii = isAscii(bytes) ? bytes.toString('latin1') : undefined;
  for (const frame of framesOf(block)) {
    const end = endOfContent(bytes, frame);
    const text = ascii === undefined ? bytes.toString('utf8', frame.start, end) : ascii.slice(frame.start, end);
    const invalid = text.includes('\ufffd') && !isUtf8(bytes.subarray(frame.start, end));
    const odd = invalid || frame.cut || frame.continued || frame.unterminated;
    yield { frame, text, tags: odd ? tagsOf(frame, invalid) : none };
  }
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
