import { HttpError } from './errors.ts';
import type { Handler } from './state.ts';

/** Lets only those pass who may read the logs. @throws {HttpError} 403 */
export const logReadersOnly: Handler = async (ctx, next) => {
  if (ctx.state.rights?.mayReadLogs !== true) {
    throw new HttpError(403, 'DENIED', 'this user may not read logs and metrics');
  }
  await next();
};
