import type { BlockList } from 'node:net';
import { isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import { contains } from '../networks.ts';

/** Where a request comes from. */
export interface Peer {
  readonly address: string;
  /** 0 where a proxy named the address, for it does not name the port. */
  readonly port: number;
}

/** Who is allowed in, and by what: anyone while there are no users, the local command line's key, or a log-in. */
export type Identity =
  | { readonly by: 'open' }
  | { readonly by: 'cli-key' }
  | { readonly by: 'htpasswd'; readonly name: string };

/** What is known of a request: `ctx.state`. */
export interface RequestState {
  peer: Peer;
  /** Absent until the request was authenticated. */
  identity?: Identity;
}

/** A middleware that knows `ctx.state`. */
export type Handler = Middleware<RequestState>;

/** Finds out who sent a request; `X-Forwarded-For` counts only as far as trusted proxies wrote it. */
export function peerOf(request: IncomingMessage, trusted: BlockList): Peer {
  const direct = { address: plain(request.socket.remoteAddress ?? ''), port: request.socket.remotePort ?? 0 };
  const hops = [request.headers['x-forwarded-for'] ?? []].flat().join(',').split(',');
  let peer = direct;
  while (contains(trusted, peer.address)) {
    const address = plain(hops.pop()?.trim() ?? '');
    if (isIP(address) === 0) break;
    peer = { address, port: 0 };
  }
  return peer;
}

/** An IPv4 address that came as `::ffff:10.0.0.1`, as it is. */
function plain(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
