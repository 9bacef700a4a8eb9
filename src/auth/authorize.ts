import { HttpError } from '../http/errors.ts';
import type { Rights } from '../http/state.ts';

/** The rights of who may do everything. */
export function everything(user: string): Rights {
  return { user, may: () => true, refusal: () => new HttpError(403, 'DENIED', 'this is not allowed') };
}
