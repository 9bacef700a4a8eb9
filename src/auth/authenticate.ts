import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { ParameterizedContext } from 'koa';
import { HttpError } from '../http/errors.ts';
import type { Handler, Identity, RequestState } from '../http/state.ts';
import { isRegistryPath } from '../registry/paths.ts';
import { type Policy, rightsOf } from './authorize.ts';
import { credentialsOf, identifyBasic, whyRefused } from './basic.ts';
import { basicChallenge, bearerChallenge, type BearerChallenge } from './challenge.ts';
import { isKey } from './key-file.ts';
import type { Logins } from './logins.ts';
import { hostOf, isLoopback } from './loopback.ts';
import { makeUser } from './make-user.ts';
import { scopeOfRequest } from './scope.ts';
import type { Tokens } from './tokens.ts';
import type { UserFile } from './user-file.ts';

/** By what requests are authenticated, and what it leads to. */
export interface AuthenticateOptions {
  readonly userFile: UserFile;
  readonly logins: Logins;
  readonly cliKey: string;
  readonly tokens: Tokens;
  readonly policy: Policy;
  /** Where the sender of a request finds tokens: an absolute URL. */
  readonly realmOf: (request: IncomingMessage) => string;
}

/**
 * Finds out who asks, and lets nobody pass who may not: `ctx.state.identity`, and `ctx.state.rights`. A log-in is `Basic`
 * (RFC 7617) or a token (`Bearer`), the key of the command line is `Bearer` too. Whoever says nothing is challenged, also
 * where anonymous has rights: clients send what they know only when they are asked.
 *
 * The registry asks for a token where anonymous has rights, else for a password: Docker without a log-in fails at a
 * challenge of the scheme `Basic`, and answers both if it is given both.
 * @throws {HttpError} 401 with a challenge; 403 for what came through a proxy while there are no users; 429.
 */
export function authenticate(options: AuthenticateOptions): Handler {
  const { userFile, logins, cliKey, tokens, policy, realmOf } = options;

  function challenge(
    ctx: ParameterizedContext<RequestState>,
    message: string,
    more: Omit<BearerChallenge, 'realm'> = {},
  ): HttpError {
    if (!isRegistryPath(ctx.path) || !policy.rules.letAnonymousIn) return basicChallenge(message);
    return bearerChallenge(message, { realm: realmOf(ctx.req), scope: scopeOfRequest(ctx.method, ctx.path), ...more });
  }

  async function identify(ctx: ParameterizedContext<RequestState>): Promise<Identity> {
    // As long as anyone gets in, the file is looked at each time: a first user counts at once.
    if (userFile.access.mode === 'open') await userFile.refresh();
    if (userFile.access.mode === 'open') {
      refuseElsewhere(ctx.req);
      return { by: 'open' };
    }
    const credentials = credentialsOf(ctx.req);
    if (credentials === undefined) throw challenge(ctx, whyRefused({ by: 'anonymous' }));
    const { scheme, value } = credentials;
    if (scheme === 'bearer') {
      if (isKey(value, cliKey)) return { by: 'cli-key' };
      const identity = await tokens.verify(value);
      if (identity !== undefined && mayEnter(identity, options)) return identity;
      throw challenge(ctx, 'the token is not valid, or no longer', { error: 'invalid_token' });
    }
    const identity = scheme === 'basic' ? await identifyBasic(logins, value, ctx.state.peer.address) : undefined;
    if (identity !== undefined && mayEnter(identity, options)) return identity;
    throw challenge(ctx, whyRefused(identity));
  }

  return async (ctx, next) => {
    const identity = await identify(ctx);
    ctx.state.identity = identity;
    ctx.state.isStillIn = lasting(identity, userFile);
    ctx.state.rights = rightsOf(identity, policy, (scope) =>
      challenge(ctx, 'this needs a user who has the right to it', { scope, error: 'insufficient_scope' }),
    );
    await next();
  };
}

/** Whether someone would be let in as at first: a user whose line is the same, and anyone only while there are no users. */
function lasting(identity: Identity, userFile: Pick<UserFile, 'access'>): () => boolean {
  const lineOf = ({ access }: Pick<UserFile, 'access'>): string | undefined =>
    access.mode === 'users' && identity.by === 'htpasswd' ? access.users.get(identity.name) : undefined;
  const line = lineOf(userFile);
  return () => {
    switch (identity.by) {
      case 'htpasswd':
        return line !== undefined && lineOf(userFile) === line;
      case 'open':
      case 'anonymous':
        return userFile.access.mode === (identity.by === 'open' ? 'open' : 'users');
      case 'cli-key':
        return true;
    }
  };
}

/** Nobody is let in only where a rule says so, and never while the file of users is away. */
export function mayEnter(
  identity: Identity,
  { userFile, policy }: Pick<AuthenticateOptions, 'userFile' | 'policy'>,
): boolean {
  return identity.by !== 'anonymous' || (policy.rules.letAnonymousIn && userFile.access.mode === 'users');
}

/**
 * Without users everyone on this machine is let in. Whoever comes through a proxy is elsewhere; so is a web page of
 * another site that a browser here shows, also if it made a name of its own lead to this machine.
 */
function refuseElsewhere({ headers }: IncomingMessage): void {
  const why = signOfElsewhere(headers);
  if (why === undefined) return;
  throw new HttpError(
    403,
    'DENIED',
    `there are no users yet, and this request may be from elsewhere: ${why}; make a user: ${makeUser}`,
  );
}

function signOfElsewhere(headers: IncomingHttpHeaders): string | undefined {
  const { host, origin } = headers;
  const proxy = Object.keys(headers).find((name) => name === 'forwarded' || name.startsWith('x-forwarded-'));
  if (proxy !== undefined) return `a proxy passed it on (${proxy})`;
  if (host !== undefined && !isLoopback(hostOf(host)))
    return `it asks for ${host}, which is not this machine's loopback`;
  // Browsers send it with whatever a page of another site asks for, but for what only reads.
  if (origin === undefined || (URL.canParse(origin) && isLoopback(hostOf(new URL(origin).host)))) return undefined;
  return `a web page sent it (${origin})`;
}
