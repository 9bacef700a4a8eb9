import { Router } from '@koa/router';
import { HttpError } from '../http/errors.ts';
import type { Identity, RequestState } from '../http/state.ts';
import { type AuthenticateOptions, mayEnter } from './authenticate.ts';
import { credentialsOf, identifyBasic, whyRefused } from './basic.ts';
import { basicChallenge } from './challenge.ts';

/**
 * `GET /token`: a token for a log-in of the scheme `Basic`, or for nobody where anonymous is let in. What it is asked for
 * (`service`, `scope`) is not looked at, for a token says who, not what. A token does not buy another.
 * @throws {HttpError} 401, 405, 429
 */
export function tokenEndpoint(options: AuthenticateOptions): Router<RequestState> {
  const { logins, tokens } = options;
  const router = new Router<RequestState>({ sensitive: true, strict: true });
  router.get('/token', async (ctx) => {
    const credentials = credentialsOf(ctx.req) ?? 'none';
    const identity: Identity | undefined =
      credentials === 'none'
        ? { by: 'anonymous' }
        : credentials.scheme === 'basic'
          ? await identifyBasic(logins, credentials.value, ctx.state.peer.address)
          : undefined;
    if (identity === undefined || !mayEnter(identity, options)) {
      throw basicChallenge(whyRefused(identity));
    }
    ctx.state.identity = identity;
    ctx.set('Cache-Control', 'no-store');
    ctx.body = await tokens.issue(identity.by === 'htpasswd' ? identity.name : undefined);
  });
  // containerd asks so first, with the password in a form, and by GET when it gets this answer.
  router.all('/token', () => {
    throw new HttpError(405, 'UNSUPPORTED', 'a token is asked for by GET', { headers: { Allow: 'GET, HEAD' } });
  });
  return router;
}
