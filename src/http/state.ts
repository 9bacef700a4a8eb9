import type { BlockList } from 'node:net';
import { isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import { contains } from '../networks.ts';
import type { Place } from '../registry/paths.ts';
import type { HttpError } from './errors.ts';

/** Where a request comes from. */
export interface Peer {
  readonly address: string;
  /** 0 where a proxy named the address, for it does not name the port. */
  readonly port: number;
}

/**
 * Who is allowed in, and by what: anyone while there are no users, the local command line's key, a log-in (or a token
 * that was given for one), or nobody in particular, by a rule that lets anonymous in.
 */
export type Identity =
  | { readonly by: 'open' }
  | { readonly by: 'cli-key' }
  | { readonly by: 'htpasswd'; readonly name: string }
  | { readonly by: 'anonymous' };

/** What can be done with a repository. */
export type Action = 'pull' | 'push' | 'delete';

/** What a request may do. */
export interface Rights {
  may(action: Action, repository: string): boolean;
  /** What to tell who may not: the same, whether or not there is such a repository. */
  refusal(action: Action, repository: string): HttpError;
  /** Whether it may read logs and metrics. */
  readonly mayReadLogs: boolean;
  /** Who it is, to tell one user's work from another's; empty where nobody logged in. */
  readonly user: string;
}

/** A token by which logs are sent, and what it says of its senders. */
export interface SenderToken {
  readonly name: string;
  readonly cluster?: string;
  readonly host?: string;
}

/** What is known of a request: `ctx.state`. */
export interface RequestState {
  peer: Peer;
  /** Absent until the request was authenticated. */
  identity?: Identity;
  /** Absent until the request was authenticated. */
  rights?: Rights;
  /** Whether whoever asks would be let in now, too. Absent until the request was authenticated. */
  isStillIn?: () => boolean;
  /** Absent where the sender of logs showed none. */
  token?: SenderToken;
  /** Where the path of a request to the registry leads. */
  place?: Place;
  /** The pattern of the path, by which requests are counted; absent where nothing takes it. */
  route?: string;
}

/** A middleware that knows `ctx.state`. */
export type Handler = Middleware<RequestState>;

/** Finds out who sent a request; `X-Forwarded-For` counts only as far as trusted proxies wrote it. */
export function peerOf({ headers, socket }: IncomingMessage, trusted: BlockList): Peer {
  const direct = { address: plainAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
  const forwarded = headers['x-forwarded-for'];
  if (forwarded === undefined) return direct;
  const hops = [forwarded].flat().join(',').split(',');
  let peer = direct;
  while (contains(trusted, peer.address)) {
    const address = plainAddress(hops.pop()?.trim() ?? '');
    if (isIP(address) === 0) break;
    peer = { address, port: 0 };
  }
  return peer;
}

/** An IPv4 address that came as `::ffff:10.0.0.1`, as it is. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
