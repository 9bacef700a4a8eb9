import type { Logger } from 'pino';
import { escapeControls } from '../escape.ts';
import { failureOf, finalStatus } from './failures.ts';
import type { Handler } from './state.ts';

/**
 * Logs each request when its answer ended: one line, with neither query nor header fields, which may hold secrets.
 * A client that went away before the end of the answer is noted as `aborted`.
 */
export function logRequests(log: Logger): Handler {
  return async (ctx, next) => {
    const { req, res } = ctx;
    const { socket } = req;
    const start = { at: performance.now(), read: socket.bytesRead, written: socket.bytesWritten };
    res.once('close', () => {
      const failure = failureOf(req);
      const { identity, peer } = ctx.state;
      const fields = {
        method: ctx.method,
        path: escapeControls(ctx.path),
        status: finalStatus(res),
        ms: Math.round(performance.now() - start.at),
        received: socket.bytesRead - start.read,
        sent: socket.bytesWritten - start.written,
        peer: peer.address,
        ...(identity?.by === 'htpasswd' && { user: escapeControls(identity.name) }),
        ...(identity?.by === 'cli-key' && { user: 'cli-key' }),
        ...(res.writableFinished ? {} : { aborted: true }),
        ...(failure !== undefined && { code: failure.code }),
        ...(failure?.error !== undefined && { err: failure.error }),
      };
      if (failure?.error !== undefined) log.error(fields, 'request failed');
      else log.info(fields, 'request');
    });
    await next();
  };
}
