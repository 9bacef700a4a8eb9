import type { Action } from '../http/state.ts';
import { compileGlob } from './glob.ts';

/** What some users may do with some repositories, as it is configured. */
export interface Rule {
  /** Patterns of names (glob.ts). */
  readonly repositories: string | readonly string[];
  /** Names; `*` for all who logged in, `anonymous` for whoever did not. */
  readonly users: readonly string[];
  /** All that they may do; with none, nothing. */
  readonly actions: readonly Action[];
}

/** Who may do what. */
export interface Rules {
  /** Whether some rule lets in whoever does not log in. */
  readonly letAnonymousIn: boolean;
  /** `user`: undefined for whoever did not log in. */
  may(user: string | undefined, action: Action, repository: string): boolean;
}

/**
 * The first rule that names both the user and the repository decides; where none does, it is refused. Without any rule,
 * every user may do everything.
 */
export function createRules(rules: readonly Rule[]): Rules {
  if (rules.length === 0) return { letAnonymousIn: false, may: (user) => user !== undefined };
  const compiled = rules.map(({ repositories, users, actions }) => {
    const globs = [repositories].flat().map(compileGlob);
    return { users, actions, covers: (repository: string) => globs.some((matches) => matches(repository)) };
  });
  return {
    letAnonymousIn: rules.some(({ users, actions }) => namesUser(users, undefined) && actions.length > 0),
    may(user, action, repository) {
      const rule = compiled.find(({ users, covers }) => namesUser(users, user) && covers(repository));
      return rule?.actions.includes(action) === true;
    },
  };
}

/** Whether a list of users has one; undefined: whoever did not log in. */
export function namesUser(users: readonly string[], user: string | undefined): boolean {
  return user === undefined ? users.includes('anonymous') : users.includes('*') || users.includes(user);
}
