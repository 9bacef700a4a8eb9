import { HttpError } from '../http/errors.ts';
import type { Handler, Identity, Rights } from '../http/state.ts';
import { whyRefused } from './basic.ts';
import { basicChallenge } from './challenge.ts';
import { namesUser, type Rules } from './rules.ts';
import { scopeOf } from './scope.ts';

const what = { pull: 'pull from', push: 'push to', delete: 'delete from' } as const;

/** The rights of who may do everything. */
export function everything(user: string): Rights {
  return {
    user,
    may: () => true,
    refusal: () => new HttpError(403, 'DENIED', 'this is not allowed'),
    mayReadLogs: true,
  };
}

/** By what it is decided who may do what. */
export interface Policy {
  readonly rules: Rules;
  /** Users, as rules name them. */
  readonly logReaders: readonly string[];
}

/** What someone may do. `challenge` makes the 401 that asks for a log-in with a scope. */
export function rightsOf(
  identity: Identity,
  { rules, logReaders }: Policy,
  challenge: (scope: string) => HttpError,
): Rights {
  switch (identity.by) {
    case 'open':
    case 'cli-key':
      return everything('');
    case 'htpasswd': {
      const { name: user } = identity;
      return {
        user,
        may: (action, repository) => rules.may(user, action, repository),
        refusal: (action, repository) =>
          new HttpError(403, 'DENIED', `${user} has no right to ${what[action]} ${repository}`),
        mayReadLogs: namesUser(logReaders, user),
      };
    }
    case 'anonymous':
      return {
        user: '',
        may: (action, repository) => rules.may(undefined, action, repository),
        refusal: (action, repository) => challenge(scopeOf(action, repository)),
        mayReadLogs: false,
      };
  }
}

/** Ends the way of who did not log in: what comes after this is for users. @throws {HttpError} 401 */
export const usersOnly: Handler = async (ctx, next) => {
  if (ctx.state.identity === undefined || ctx.state.identity.by === 'anonymous') {
    throw basicChallenge(whyRefused({ by: 'anonymous' }));
  }
  await next();
};
