import { Buffer } from 'node:buffer';
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { encode } from '@msgpack/msgpack';
import { decodeValue } from '../parse/msgpack.ts';
import { ValueScanner } from '../parse/msgpack-scan.ts';
import { GreetingError, takeFirst } from './greeting.ts';

/** The longest PING, in bytes. */
const longestPing = 16 * 1024;
/** What this end is called. fluentd refuses a server that has the name of its own machine. */
const serverName = 'shiplog';

/** What a client says of itself. */
interface Ping {
  readonly length: number;
  readonly hostname: Uint8Array;
  readonly salt: Uint8Array;
  /** The proof that it has the key, in hex. */
  readonly digest: Uint8Array;
}

/**
 * The handshake of the forward protocol ("Forward Protocol Specification v1", "Handshake Messages"): each end proves to the
 * other that it has the shared key, which is not sent. A connection that ends without a word is one, as fluentd makes
 * them to see whether someone listens.
 * @throws {GreetingError} the client does not have the key, or does not speak of it
 */
export async function shakeHands(socket: Socket, sharedKey: string): Promise<void> {
  const nonce = randomBytes(16);
  const digest = (salt: Uint8Array, hostname: Uint8Array | string): string =>
    createHash('sha512').update(salt).update(hostname).update(nonce).update(sharedKey).digest('hex');
  // Some clients take no text for `auth`, which asks for a user where it is not empty.
  socket.write(encode(['HELO', { nonce, auth: new Uint8Array(0), keepalive: true }]));
  const scanner = new ValueScanner();
  let isSilent = true;
  const ping = await takeFirst(socket, 'its handshake', (bytes) => {
    isSilent = false;
    return readPing(bytes, scanner);
  }).catch((error: unknown) => {
    if (isSilent && error instanceof GreetingError) return undefined;
    throw error;
  });
  if (ping === undefined) return;
  const { salt, hostname } = ping;
  if (!isSame(ping.digest, Buffer.from(digest(salt, hostname)))) {
    socket.write(encode(['PONG', false, 'shared_key mismatch', '', '']));
    throw new GreetingError('its shared_key is another than ingest.forward.shared_key');
  }
  socket.write(encode(['PONG', true, '', serverName, digest(salt, serverName)]));
}

/** Undefined: it is not whole. @throws {GreetingError} it is none */
function readPing(bytes: Buffer, scanner: ValueScanner): Ping | undefined {
  const end = scanner.scan(bytes);
  if (end === 'more' && bytes.length <= longestPing) return undefined;
  const value = typeof end === 'number' ? decodeValue(bytes.subarray(0, end)) : undefined;
  const parts: readonly unknown[] = Array.isArray(value) ? value : [];
  const [name, hostname, salt, digest] = parts.map((part) => (part instanceof Uint8Array ? part : undefined));
  if (typeof end !== 'number' || name === undefined || Buffer.compare(name, Buffer.from('PING')) !== 0)
    throw new GreetingError('it does not begin with a handshake: it has no shared_key');
  if (hostname === undefined || salt === undefined || digest === undefined)
    throw new GreetingError('its handshake is none of the forward protocol');
  return { length: end, hostname, salt, digest };
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
