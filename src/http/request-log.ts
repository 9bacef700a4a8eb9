import type { Socket } from 'node:net';
import type { ParameterizedContext } from 'koa';
import type { Logger } from 'pino';
import { escapeControls } from '../escape.ts';
import { failureOf, finalStatus } from './failures.ts';
import type { Identity, RequestState } from './state.ts';

/**
 * Logs each request when its answer has ended, so many ms after it began: one line, with neither query nor header fields,
 * which may hold secrets. A client that went away before the end of the answer is noted as `aborted`. `received` and `sent`
 * are bytes on the connection since the answer before, heads included: much of a request is here already when its handler
 * starts.
 * @returns what is called as a request begins, and answers what is called at its end
 */
export function requestLog(log: Logger): (ctx: ParameterizedContext<RequestState>) => (ms: number) => void {
  const ends = new WeakMap<Socket, { read: number; written: number }>();
  return ({ req, res, state, method, path }) => {
    const { socket } = req;
    const before = ends.get(socket) ?? { read: 0, written: 0 };
    return (ms) => {
      const { bytesRead: read, bytesWritten: written } = socket;
      ends.set(socket, { read, written });
      const failure = failureOf(req);
      const { identity, peer, token } = state;
      const fields = {
        method,
        path: escapeControls(path),
        status: finalStatus(res),
        ms: Math.round(ms),
        received: read - before.read,
        sent: written - before.written,
        peer: peer.address,
        // What is undefined is left out.
        user: userOf(identity),
        token: token && escapeControls(token.name),
        aborted: res.writableFinished ? undefined : true,
        code: failure?.code,
        reason: failure?.reason,
        err: failure?.error,
      };
      if (failure?.error !== undefined) log.error(fields, 'request failed');
      // A part of the server that cannot do its work just now.
      else if (failure?.reason !== undefined) log.warn(fields, 'request refused');
      else log.info(fields, 'request');
    };
  };
}

function userOf(identity: Identity | undefined): string | undefined {
  if (identity?.by === 'htpasswd') return escapeControls(identity.name);
  return identity?.by === 'cli-key' ? 'cli-key' : undefined;
}
