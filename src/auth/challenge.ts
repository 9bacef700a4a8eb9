import { HttpError } from '../http/errors.ts';
import { service } from './tokens.ts';

/** What a challenge of the scheme `Bearer` says (RFC 6750, section 3; distribution, "Token Authentication"). */
export interface BearerChallenge {
  /** The absolute URL where tokens are given. */
  readonly realm: string;
  /** What to ask a token for. */
  readonly scope?: string | undefined;
  /** What is wrong with the token that came. */
  readonly error?: 'invalid_token' | 'insufficient_scope' | undefined;
}

/** A 401 that asks for user and password. */
export function basicChallenge(message: string): HttpError {
  return unauthorized(message, 'Basic realm="shiplog"');
}

/** A 401 that asks for a token. */
export function bearerChallenge(message: string, { realm, scope, error }: BearerChallenge): HttpError {
  const parameters = { realm, service, scope, error };
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  return unauthorized(message, `Bearer ${given.map(([name, value]) => `${name}="${value}"`).join(',')}`);
}

function unauthorized(message: string, challenge: string): HttpError {
  return new HttpError(401, 'UNAUTHORIZED', message, { headers: { 'WWW-Authenticate': challenge } });
}
