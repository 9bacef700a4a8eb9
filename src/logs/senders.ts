import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { ParameterizedContext } from 'koa';
import type { Block, Source } from '../../ingest/block.ts';
import { HttpError } from '../http/errors.ts';
import type { RequestState } from '../http/state.ts';
import type { LogPipeline } from './pipeline.ts';

/** Finds out who sent the records of a request. */
export type SourceOf = (ctx: ParameterizedContext<RequestState>) => Source;

/**
 * Who sends records over HTTP. A connection has one identity, as long as it shows the same token; a proxy's carries
 * those of many senders, so it is not theirs. `clusterOf`: the cluster that the configuration gives to an address.
 */
export function sendersOf(listener: string, clusterOf: (address: string) => string | undefined): SourceOf {
  const known = new WeakMap<Socket, Source>();
  return ({ req: { socket }, state: { peer, token } }) => {
    const last = peer.port === 0 ? undefined : known.get(socket);
    if (last !== undefined && last.token === token?.name) return last;
    const cluster = token?.cluster ?? clusterOf(peer.address);
    const source: Source = {
      listener,
      connection: randomBytes(16).toString('hex'),
      peer,
      ...(cluster !== undefined && { cluster }),
      ...(token?.host !== undefined && { host: token.host }),
      ...(token && { token: token.name }),
    };
    known.set(socket, source);
    return source;
  };
}

/** Keeps a block, durably. @throws {HttpError} 503 nothing of it was kept */
export async function commit(pipeline: Pick<LogPipeline, 'accept'>, block: Block): Promise<void> {
  try {
    await pipeline.accept(block);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    const why = { full: 'the spool is full', io: 'the spool cannot be written', closed: 'the server is ending' };
    if (code !== 'full' && code !== 'io' && code !== 'closed') throw cause;
    throw new HttpError(503, 'UNAVAILABLE', `${why[code]}; nothing of this request was kept`, {
      headers: { 'Retry-After': '5' },
      cause,
    });
  }
}
