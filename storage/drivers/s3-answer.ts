import type { IncomingMessage } from 'node:http';
import { crc32 } from 'node:zlib';

/** An object as a HEAD tells of it. */
export interface Described {
  readonly size: number;
  readonly etag: string;
  /** When it was written, in ms. */
  readonly modified: number;
}

/** An object's bytes as they come; whoever does not read them to the end must destroy them. */
export interface OpenObject extends Described {
  readonly body: AsyncIterable<Uint8Array>;
  destroy(this: void): void;
}

/** An object's checksum, if S3 has one: of the whole, in base64. */
export const checksumHeader = 'x-amz-checksum-crc32';

/** Asks for a whole object with its checksum. */
export const whole = { 'x-amz-checksum-mode': 'ENABLED' } as const;

/** An object, by the headers of an answer. */
export function describe(headers: IncomingMessage['headers']): Described {
  const { 'content-range': range, 'content-length': length = '0', etag = '', 'last-modified': modified = '' } = headers;
  return { size: Number(range?.split('/')[1] ?? length), etag, modified: Date.parse(modified) || 0 };
}

/** An object, by an answer with its bytes. Reading them fails where they are not those of the checksum. */
export function openAnswer(answer: IncomingMessage): OpenObject {
  const checksum = answer.headers[checksumHeader];
  // That of parts (`…-3`) is none of the bytes.
  const expected = typeof checksum === 'string' && !checksum.includes('-') ? checksum : undefined;
  return {
    ...describe(answer.headers),
    body: expected === undefined ? answer : checked(answer, Buffer.from(expected, 'base64').readUInt32BE()),
    destroy: () => void answer.destroy(),
  };
}

async function* checked(body: AsyncIterable<Uint8Array>, expected: number): AsyncGenerator<Uint8Array, void, void> {
  let actual = 0;
  for await (const piece of body) {
    actual = crc32(piece, actual);
    yield piece;
  }
  if (actual !== expected) throw new Error('the bytes are not those of the checksum that S3 has of them');
}
