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
export async function takeProxyHeader(socket: Socket): Promise<ProxyHeader> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  for (const event of ['end', 'close', 'error']) socket.once(event, end);
  try {
    for (let bytes = Buffer.alloc(0); ; await once(socket, 'readable', { signal: ended.signal })) {
      const chunk: unknown = socket.read();
      if (!Buffer.isBuffer(chunk)) continue;
      bytes = Buffer.concat([bytes, chunk]);
      const header = readProxyHeader(bytes.subarray(0, longestHeader));
      if (header === 'more') continue;
      if (header === 'bad') throw new GreetingError('it does not begin with a PROXY header');
      if (header.length < bytes.length) socket.unshift(bytes.subarray(header.length));
      return header;
    }
  } catch (error) {
    if (!ended.signal.aborted) throw error;
    throw new GreetingError('it ended before its PROXY header', { cause: error });
  } finally {
    for (const event of ['end', 'close', 'error']) socket.off(event, end);
  }
}
