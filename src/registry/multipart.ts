import { randomBytes } from 'node:crypto';
import type { ByteRange } from '../../storage/store.ts';

/** A body of several ranges, and what its header says of it. `length` in bytes. */
export interface Multipart {
  readonly contentType: string;
  readonly length: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Several ranges of one content as multipart/byteranges (RFC 9110, section 14.6). Each range is opened when the
 * one before it was sent. `size` is that of the whole content, in bytes.
 */
export function multipart(
  ranges: readonly ByteRange[],
  size: number,
  contentType: string,
  open: (range: ByteRange) => Promise<AsyncIterable<Uint8Array>>,
): Multipart {
  const boundary = randomBytes(18).toString('hex');
  const head = ({ start, end }: ByteRange): Buffer =>
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Type: ${contentType}\r\nContent-Range: bytes ${start}-${end}/${size}\r\n\r\n`,
    );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const range of ranges) {
      yield head(range);
      yield* await open(range);
    }
    yield tail;
  }
  const length = ranges.reduce((sum, range) => sum + head(range).length + range.end - range.start + 1, tail.length);
  return { contentType: `multipart/byteranges; boundary=${boundary}`, length, body: body() };
}
