import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';

/** Content of any size that is nowhere stored: the same bytes for the same size and seed. */
export interface Generated {
  readonly size: number;
  readonly digest: string;
  /** From some offset on, in pieces of up to 1 MiB. */
  bytes(this: void, from?: number): AsyncIterable<Buffer>;
}

const piece = 1024 * 1024;

/** Makes such content: a cipher's key stream, which no compression shortens. It takes a second a GiB, for the digest. */
export async function generate(size: number, seed: number): Promise<Generated> {
  async function* bytes(from = 0): AsyncGenerator<Buffer> {
    for (let at = from - (from % piece); at < size; at += piece) {
      const counter = Buffer.alloc(16);
      counter.writeUInt32BE(seed);
      // Blocks of 16 bytes.
      counter.writeBigUInt64BE(BigInt(at / 16), 8);
      const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), counter);
      yield cipher.update(Buffer.alloc(Math.min(piece, size - at))).subarray(Math.max(0, from - at));
    }
  }
  return { size, digest: await digestOf(bytes()), bytes };
}

/** The digest of what comes. */
export async function digestOf(pieces: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of pieces) hash.update(bytes);
  return `sha256:${hash.digest('hex')}`;
}

/** Sends a request, its body as it comes. @returns the answer, to be read to its end */
export async function send(
  url: string,
  method: string,
  headers: Readonly<Record<string, string | number>> = {},
  body: AsyncIterable<Buffer> = nothing(),
): Promise<IncomingMessage> {
  const request = httpRequest(url, { method, headers, agent: false });
  const [[answer]] = await Promise.all([once(request, 'response'), pipeline(body, request)]);
  return answer;
}

/** Sends a request and reads the answer away. @returns its status and where it points to */
export async function told(
  ...args: Parameters<typeof send>
): Promise<{ status: number | undefined; location: string }> {
  const answer = await send(...args);
  answer.resume();
  await once(answer, 'end');
  return { status: answer.statusCode, location: answer.headers.location ?? '' };
}

async function* nothing(): AsyncGenerator<Buffer> {}
