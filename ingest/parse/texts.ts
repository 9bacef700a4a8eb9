import { Buffer, isAscii, isUtf8 } from 'node:buffer';
import type { StoredBlock } from '../block.ts';
import { framesOf, type Frame } from './frames.ts';
import type { RawMessage } from './render-ecs.ts';
import type { Place } from './syslog.ts';

/** A frame's text, without the CR or NUL at its end, as a part of a larger one; and what is odd about it. */
export interface Text extends Place {
  readonly frame: Frame;
  /** It is of ASCII alone, and its places are those of the payload. */
  readonly plain: boolean;
  readonly tags: readonly string[];
}

/** The text itself. */
export function contentOfText({ source, start, end }: Place): string {
  return source.slice(start, end);
}

const none: readonly string[] = [];

/** The frames of a block as texts, without the CR or NUL at their end. What is of ASCII alone is decoded at once. */
export function* textsOf(block: StoredBlock): Generator<Text, void, undefined> {
  const { buffer, byteOffset, byteLength } = block.payload;
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  // What is no text is not read as one, but for being shown.
  const isText = block.kind !== 'forward';
  const latin1 = bytes.toString('latin1');
  const isPlain = asciiLooker(bytes);
  for (const frame of framesOf(block)) {
    const { start } = frame;
    const end = endOfContent(bytes, frame);
    const odd = frame.cut || frame.continued || frame.unterminated;
    if (!isText || isPlain(start, end)) {
      yield { frame, source: latin1, start, end, plain: isText, tags: odd ? tagsOf(frame, false) : none };
      continue;
    }
    const source = bytes.toString('utf8', start, end);
    const invalid = source.includes('\ufffd') && !isUtf8(bytes.subarray(start, end));
    const tags = odd || invalid ? tagsOf(frame, invalid) : none;
    yield { frame, source, start: 0, end: source.length, plain: false, tags };
  }
}

/** Bytes that are looked at together. */
const stride = 2048;

/** Says of one part after the other whether it is of ASCII alone; looks at many together, as long as these are. */
function asciiLooker(bytes: Buffer): (start: number, end: number) => boolean {
  let until = isAscii(bytes) ? bytes.length : 0;
  return (start, end) => {
    if (end <= until) return true;
    const ahead = Math.min(start + stride, bytes.length);
    if (end < ahead && isAscii(bytes.subarray(start, ahead))) {
      until = ahead;
      return true;
    }
    return isAscii(bytes.subarray(start, end));
  };
}

/** A longer message is faster as a text. */
const longestRaw = 1024;

/** What of a text begins at a character, as it came, if that is short and of ASCII. */
export function rawMessage({ payload }: StoredBlock, text: Text, message: number): RawMessage | undefined {
  const { end, plain } = text;
  const start = text.start + message;
  return plain && end - start <= longestRaw ? { bytes: payload, start, end } : undefined;
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
