import type { IncomingMessage } from 'node:http';
import type { UploadBody } from '../../storage/store.ts';
import type { MemoryBudget } from '../http/body.ts';
import { HttpError } from '../http/errors.ts';

/** Whether a request brings a body (RFC 9112, section 6.3). */
export function hasBody(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
}

/**
 * A request's body, read no faster than it is taken. Stopping before its end leaves the connection as it is, so that
 * the client can be told why. Reading it throws an HttpError 400 where the client goes away before the end.
 */
export function readBody(request: IncomingMessage): UploadBody {
  const length = request.headers['content-length'];
  return {
    ...(length !== undefined && { length: Number(length) }),
    release,
    [Symbol.asyncIterator]: () => pieces(request),
  };
}

/**
 * Frees the memory of a piece at once. Node copies each one into memory of its own, which lies outside of V8's heap: left to
 * itself, V8 lets it pile up, and then marks the whole heap to find it.
 */
function release({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

async function* pieces(request: IncomingMessage): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks: AsyncIterable<Uint8Array> = request.iterator({ destroyOnReturn: false });
  try {
    yield* chunks;
  } catch (cause) {
    throw new HttpError(400, 'BLOB_UPLOAD_INVALID', 'the connection broke off before the end of the body', { cause });
  }
}

/**
 * Reads a whole body into memory, and hands it to `use`; its bytes count in the budget until that is done.
 * @throws {HttpError} 413 where it has more than `limit` bytes: no more than those are kept. 503 beyond the budget.
 */
export async function withWhole<T>(
  request: IncomingMessage,
  { limit, budget }: { limit: number; budget: MemoryBudget },
  use: (bytes: Uint8Array) => Promise<T>,
): Promise<T> {
  const tooLarge = new HttpError(413, 'MANIFEST_INVALID', `a manifest has at most ${limit} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge;
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of readBody(request)) {
      if (size + chunk.length > limit) throw tooLarge;
      budget.take(chunk.length);
      size += chunk.length;
      chunks.push(chunk);
    }
    return await use(Buffer.concat(chunks, size));
  } finally {
    budget.giveBack(size);
  }
}
