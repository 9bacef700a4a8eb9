import type { IncomingMessage } from 'node:http';
import { HttpError } from '../http/errors.ts';
import type { Identity } from '../http/state.ts';
import type { Logins } from './logins.ts';

/** Scheme (in small letters) and value of an `Authorization` field; undefined where there is none. */
export function credentialsOf({ headers }: IncomingMessage): { scheme: string; value: string } | undefined {
  const { authorization } = headers;
  if (authorization === undefined) return undefined;
  const [, scheme = '', value = ''] = /^(\w+) +(\S+) *$/.exec(authorization) ?? [];
  return { scheme: scheme.toLowerCase(), value };
}

/**
 * Whose a log-in of the scheme `Basic` is (RFC 7617); undefined where it is malformed or wrong. An empty user is nobody:
 * so skopeo answers a challenge if it knows no user.
 * @throws {HttpError} 429
 */
export async function identifyBasic(logins: Logins, value: string, address: string): Promise<Identity | undefined> {
  const text = Buffer.from(value, 'base64').toString();
  const colon = text.indexOf(':');
  if (colon < 0 || colon > 255) return undefined;
  const [name, password] = [text.slice(0, colon), text.slice(colon + 1)];
  if (name === '') return { by: 'anonymous' };
  const verdict = await logins.verify(name, password, address);
  if (verdict.status === 'accepted') return { by: 'htpasswd', name };
  if (verdict.status === 'refused') return undefined;
  const seconds = Math.ceil(verdict.retryAfter / 1000);
  throw new HttpError(429, 'TOOMANYREQUESTS', `too many log-ins; try again in ${seconds} s`, {
    headers: { 'Retry-After': String(seconds) },
  });
}

/** What to tell who is not let in, by what was found out. */
export function whyRefused(identity: Identity | undefined): string {
  return identity?.by === 'anonymous'
    ? 'a user and a password are needed'
    : 'there is no such user, or the password is another';
}
