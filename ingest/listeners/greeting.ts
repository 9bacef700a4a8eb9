import { once } from 'node:events';
import type { Socket } from 'node:net';
import { longestHeader, type ProxyHeader, readProxyHeader } from './proxy-protocol.ts';

/** A connection that is none of a sender: what came first is not what must come. */
export class GreetingError extends Error {
  override readonly name = 'GreetingError';
}

/**
 * Takes the PROXY header that a connection must begin with, and nothing behind it.
 * @throws {GreetingError} there is none, or the connection ended before
 */
export function takeProxyHeader(socket: Socket): Promise<ProxyHeader> {
  return takeFirst(socket, 'its PROXY header', (bytes) => {
    const header = readProxyHeader(bytes.subarray(0, longestHeader));
    if (header === 'bad') throw new GreetingError('it does not begin with a PROXY header');
    return header === 'more' ? undefined : header;
  });
}

/**
 * Takes what a connection must begin with, and nothing behind it.
 * @param read what it is, and how long; undefined while it is not whole
 * @throws {GreetingError} the connection ended before, and what `read` throws
 */
export async function takeFirst<T extends { readonly length: number }>(
  socket: Socket,
  what: string,
  read: (bytes: Buffer) => T | undefined,
): Promise<T> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  for (const event of ['end', 'close', 'error']) socket.once(event, end);
  try {
    for (let bytes = Buffer.alloc(0); ; await once(socket, 'readable', { signal: ended.signal })) {
      const chunk: unknown = socket.read();
      if (!Buffer.isBuffer(chunk)) continue;
      bytes = Buffer.concat([bytes, chunk]);
      const first = read(bytes);
      if (first === undefined) continue;
      if (first.length < bytes.length) socket.unshift(bytes.subarray(first.length));
      return first;
    }
  } catch (error) {
    if (!ended.signal.aborted) throw error;
    throw new GreetingError(`it ended before ${what}`, { cause: error });
  } finally {
    for (const event of ['end', 'close', 'error']) socket.off(event, end);
  }
}
