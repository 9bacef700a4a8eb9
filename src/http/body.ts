import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { hasCode } from '../system-error.ts';
import { HttpError } from './errors.ts';

const inflate = promisify(gunzip);

/**
 * How many times as large as it came a body of more than `smallBody` bytes may become: real records shrink to a tenth or
 * a fiftieth, what is made to swell to a thousandth.
 */
const mostSwelling = 250;
const smallBody = 1024 * 1024;

/** Bytes of bodies that are in memory at once, over all requests. */
export class MemoryBudget {
  readonly #limit: number;
  #used = 0;

  /** @param limit In bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes bytes for as long as a request runs. @throws {HttpError} 503 when there are not that many. */
  take(bytes: number): void {
    if (this.#used + bytes > this.#limit) {
      throw new HttpError(503, 'UNAVAILABLE', 'too many large requests at once', { headers: { 'Retry-After': '1' } });
    }
    this.#used += bytes;
  }

  giveBack(bytes: number): void {
    this.#used -= bytes;
  }
}

/**
 * Reads a whole body, which may be compressed with gzip, and hands it to `use`. Neither the body nor what it inflates to
 * may have more than `limit` bytes; both count in the budget until `use` is done.
 * @throws {HttpError} 413, 415 (another encoding), 400 (no gzip, or broken off), 503.
 */
export async function withBody<T>(
  request: IncomingMessage,
  { limit, budget }: { limit: number; budget: MemoryBudget },
  use: (body: Uint8Array) => Promise<T>,
): Promise<T> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (!['identity', 'gzip', 'x-gzip'].includes(encoding)) {
    throw new HttpError(415, 'ENCODING_UNSUPPORTED', 'a body is sent as it is, or compressed with gzip', {
      headers: { 'Accept-Encoding': 'gzip' },
    });
  }
  const tooLarge = new HttpError(413, 'TOO_LARGE', `a body has at most ${limit} bytes, also when it is inflated`);
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge;
  let taken = 0;
  const take = (bytes: number): void => {
    budget.take(bytes);
    taken += bytes;
  };
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of chunksOf(request)) {
      size += chunk.length;
      if (size > limit) throw tooLarge;
      take(chunk.length);
      chunks.push(chunk);
    }
    const raw = Buffer.concat(chunks, size);
    if (encoding === 'identity') return await use(raw);
    // What will come out is not known before.
    const most = Math.min(limit, Math.max(smallBody, raw.length * mostSwelling));
    take(most);
    const body = await inflate(raw, { maxOutputLength: most }).catch((cause: unknown) => {
      if (hasCode(cause, 'ERR_BUFFER_TOO_LARGE')) {
        throw most === limit
          ? tooLarge
          : new HttpError(413, 'TOO_LARGE', `a body becomes at most ${mostSwelling} times as large by inflation`);
      }
      throw new HttpError(400, 'ENCODING_INVALID', 'the body is not gzip, as its Content-Encoding says', { cause });
    });
    budget.giveBack(most - body.length);
    taken -= most - body.length;
    return await use(body);
  } finally {
    budget.giveBack(taken);
  }
}

/** A request's bytes. Whoever stops early can still answer: the request is not destroyed by that. */
async function* chunksOf(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  const chunks: AsyncIterable<Uint8Array> = request.iterator({ destroyOnReturn: false });
  try {
    yield* chunks;
  } catch (cause) {
    throw new HttpError(400, 'BODY_INCOMPLETE', 'the connection broke off before the end of the body', { cause });
  }
}
