import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { escapeControls } from '../escape.ts';
import { failureOf, finalStatus } from './failures.ts';
import type { Handler } from './state.ts';

/**
 * Logs each request when its answer ended: one line, with neither query nor header fields, which may hold secrets.
 * A client that went away before the end of the answer is noted as `aborted`. `received` and `sent` are bytes on the
 * connection since the answer before, heads included: much of a request is here already when its handler starts.
 */
export function logRequests(log: Logger): Handler {
  const ends = new WeakMap<Socket, { read: number; written: number }>();
  return async (ctx, next) => {
    const { req, res } = ctx;
    const { socket } = req;
    const start = performance.now();
    const before = ends.get(socket) ?? { read: 0, written: 0 };
    res.once('close', () => {
      const { bytesRead: read, bytesWritten: written } = socket;
      ends.set(socket, { read, written });
      const failure = failureOf(req);
      const { identity, peer, token } = ctx.state;
      const fields = {
        method: ctx.method,
        path: escapeControls(ctx.path),
        status: finalStatus(res),
        ms: Math.round(performance.now() - start),
        received: read - before.read,
        sent: written - before.written,
        peer: peer.address,
        ...(identity?.by === 'htpasswd' && { user: escapeControls(identity.name) }),
        ...(identity?.by === 'cli-key' && { user: 'cli-key' }),
        ...(token && { token: escapeControls(token.name) }),
        ...(res.writableFinished ? {} : { aborted: true }),
        ...(failure !== undefined && { code: failure.code }),
        ...(failure?.reason !== undefined && { reason: failure.reason }),
        ...(failure?.error !== undefined && { err: failure.error }),
      };
      if (failure?.error !== undefined) log.error(fields, 'request failed');
      // A part of the server that cannot do its work just now.
      else if (failure?.reason !== undefined) log.warn(fields, 'request refused');
      else log.info(fields, 'request');
    });
    await next();
  };
}
