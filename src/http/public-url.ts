import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import { contains } from '../networks.ts';
import { plainAddress } from './state.ts';

/** A host and perhaps a port, as they may stand in a URL. */
const authority = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

/**
 * Under which URL the sender of a request reaches this server, without a path: by the request's own `Host`, or by what a
 * trusted proxy says in `X-Forwarded-Host` and `X-Forwarded-Proto`.
 */
export function publicUrlOf({ headers, socket }: IncomingMessage, trusted: BlockList): string {
  const isProxied = contains(trusted, plainAddress(socket.remoteAddress ?? ''));
  // The last entry is the proxy's own; those before it came from its client.
  const forwarded = (name: string): string | undefined =>
    isProxied ? [headers[name] ?? []].flat().at(-1)?.split(',').at(-1)?.trim().toLowerCase() : undefined;
  const scheme =
    (forwarded('x-forwarded-proto') ?? ('encrypted' in socket ? 'https' : 'http')) === 'https' ? 'https' : 'http';
  const host = [forwarded('x-forwarded-host'), headers.host].find((text) => text !== undefined && authority.test(text));
  const { localAddress = '', localPort } = socket;
  return `${scheme}://${host ?? `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`}`;
}
