import { createHmac } from 'node:crypto';
import { JOSEError } from 'jose/errors';
import { SignJWT } from 'jose/jwt/sign';
import { jwtVerify } from 'jose/jwt/verify';
import type { Identity } from '../http/state.ts';
import type { UserFile } from './user-file.ts';

/** Whom a token is for: this service, as challenges name it. */
export const service = 'shiplog';

/**
 * Seconds that a token lives. "For compatibility with older clients, a token should never be returned with less than 60
 * seconds to live" (distribution, "Token Authentication Specification").
 */
const lifetime = 300;
const algorithm = 'HS256';

/** A token as clients take it (distribution, "Token Authentication Specification"). */
export interface TokenAnswer {
  readonly token: string;
  /** The same, for clients that speak OAuth 2. */
  readonly access_token: string;
  /** Seconds */
  readonly expires_in: number;
  readonly issued_at: string;
}

/** With what tokens are made. */
export interface TokensOptions {
  /** Whoever has it makes tokens of anyone: at least 32 characters. */
  readonly key: string;
  readonly userFile: Pick<UserFile, 'access'>;
}

/**
 * Short signed tokens, which say who someone is; what they may do is asked of the rules at each use. All that it takes
 * to verify one is the key and the htpasswd file, so any process that has both can.
 *
 *   header   {"alg":"HS256"}
 *   payload  aud: shiplog · iat, exp · sub: the user, absent for nobody · line: a fingerprint of the user's line
 */
export class Tokens {
  readonly #key: Uint8Array;
  readonly #userFile: Pick<UserFile, 'access'>;

  constructor({ key, userFile }: TokensOptions) {
    this.#key = Buffer.from(key);
    this.#userFile = userFile;
  }

  /** A token for a user, or for nobody. */
  async issue(user: string | undefined): Promise<TokenAnswer> {
    const now = Math.floor(Date.now() / 1000);
    const claims = user === undefined ? {} : { sub: user, line: this.#lineOf(user) };
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: algorithm })
      .setAudience(service)
      .setIssuedAt(now)
      .setExpirationTime(now + lifetime)
      .sign(this.#key);
    return {
      token,
      access_token: token,
      expires_in: lifetime,
      issued_at: new Date(now * 1000).toISOString().replace('.000', ''),
    };
  }

  /**
   * Whose a token is; undefined where it is not ours, has expired, or its user's line has changed or gone. Keys that a
   * token brings along in its header are not looked at.
   */
  async verify(token: string): Promise<Identity | undefined> {
    try {
      const { payload } = await jwtVerify(token, this.#key, {
        algorithms: [algorithm],
        audience: service,
        requiredClaims: ['exp'],
      });
      if (payload.sub === undefined) return { by: 'anonymous' };
      const line = this.#lineOf(payload.sub);
      return line !== undefined && payload['line'] === line ? { by: 'htpasswd', name: payload.sub } : undefined;
    } catch (error) {
      if (error instanceof JOSEError) return undefined;
      throw error;
    }
  }

  #lineOf(user: string): string | undefined {
    const { access } = this.#userFile;
    const hash = access.mode === 'users' ? access.users.get(user) : undefined;
    return hash === undefined ? undefined : createHmac('sha256', this.#key).update(hash).digest('base64url');
  }
}
