import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { HttpError } from '../http/errors.ts';
import { everything } from './authorize.ts';
import type { Handler, Identity } from '../http/state.ts';
import { isCliKey } from './cli-key.ts';
import type { Logins } from './logins.ts';
import { hostOf, isLoopback } from './loopback.ts';
import type { UserFile } from './user-file.ts';

/** How a user is made. */
export const makeUser = 'npx shiplog htpasswd NAME';

/** By what requests are authenticated. */
export interface AuthenticateOptions {
  readonly userFile: UserFile;
  readonly logins: Logins;
  readonly cliKey: string;
}

/**
 * Finds out who asks, and lets nobody pass who may not: `ctx.state.identity`. A log-in is `Basic` (RFC 7617), the key of
 * the command line is `Bearer`.
 * @throws {HttpError} 401 with a challenge; 403 for what came through a proxy while there are no users; 429.
 */
export function authenticate({ userFile, logins, cliKey }: AuthenticateOptions): Handler {
  async function identify(request: IncomingMessage, address: string): Promise<Identity> {
    // As long as anyone gets in, the file is looked at each time: a first user counts at once.
    if (userFile.access.mode === 'open') await userFile.refresh();
    if (userFile.access.mode === 'open') {
      refuseElsewhere(request);
      return { by: 'open' };
    }
    const [, scheme = '', value = ''] = /^(\w+) +(\S+) *$/.exec(request.headers.authorization ?? '') ?? [];
    if (scheme.toLowerCase() === 'bearer' && isCliKey(value, cliKey)) return { by: 'cli-key' };
    const login = scheme.toLowerCase() === 'basic' ? parseBasic(value) : undefined;
    if (login === undefined) throw challenge('a user and a password are needed');
    const verdict = await logins.verify(login.user, login.password, address);
    if (verdict.status === 'accepted') return { by: 'htpasswd', name: login.user };
    if (verdict.status === 'refused') throw challenge('there is no such user, or the password is another');
    const seconds = Math.ceil(verdict.retryAfter / 1000);
    throw new HttpError(429, 'TOOMANYREQUESTS', `too many log-ins; try again in ${seconds} s`, {
      headers: { 'Retry-After': String(seconds) },
    });
  }
  return async (ctx, next) => {
    const identity = await identify(ctx.req, ctx.state.peer.address);
    ctx.state.identity = identity;
    ctx.state.rights = everything(identity.by === 'htpasswd' ? identity.name : '');
    await next();
  };
}

/** User and password of RFC 7617; undefined where they are malformed, or the user is the empty one (nobody). */
function parseBasic(value: string): { user: string; password: string } | undefined {
  const text = Buffer.from(value, 'base64').toString();
  const colon = text.indexOf(':');
  if (colon <= 0 || colon > 255) return undefined;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function challenge(message: string): HttpError {
  return new HttpError(401, 'UNAUTHORIZED', message, { headers: { 'WWW-Authenticate': 'Basic realm="shiplog"' } });
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
