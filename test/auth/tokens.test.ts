import { createHmac } from 'node:crypto';
import { generateKeyPair, SignJWT, UnsecuredJWT, exportJWK, base64url } from 'jose';
import { expect, test } from 'vitest';
import { Tokens } from '../../src/auth/tokens.ts';

const key = 'k'.repeat(64);
const users = new Map([
  ['ann', 'hash of ann'],
  ['bob', 'hash of bob'],
]);
const tokens = new Tokens({ key, userFile: { access: { mode: 'users', users } } });

function parts(token: string): [header: string, payload: string, signature: string] {
  const [header = '', payload = '', signature = ''] = token.split('.');
  return [header, payload, signature];
}

function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(parts(token)[1], 'base64url').toString());
}

const encode = (value: object): string => base64url.encode(JSON.stringify(value));
const now = (): number => Math.floor(Date.now() / 1000);

test('a token is what was asked for: its user, or nobody, and lives for five minutes', async () => {
  for (const [user, identity] of [
    ['ann', { by: 'htpasswd', name: 'ann' }],
    [undefined, { by: 'anonymous' }],
  ] as const) {
    const answer = await tokens.issue(user);
    expect(answer.access_token).toBe(answer.token);
    expect(answer.expires_in).toBe(300);
    const { iat, exp, aud } = claimsOf(answer.token);
    expect([Number(exp) - Number(iat), aud]).toEqual([300, 'shiplog']);
    expect(Date.parse(answer.issued_at)).toBe(Number(iat) * 1000);
    expect(answer.issued_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(await tokens.verify(answer.token)).toEqual(identity);
  }
});

test('another process with the same key and users takes it; one with another key does not', async () => {
  const { token } = await tokens.issue('ann');
  const other = (key: string) => new Tokens({ key, userFile: { access: { mode: 'users', users } } });
  expect(await other(key).verify(token)).toEqual({ by: 'htpasswd', name: 'ann' });
  expect(await other('x'.repeat(64)).verify(token)).toBeUndefined();
});

test('the token of a user whose line went or changed is void, and so is every user’s when the file is away', async () => {
  const { token } = await tokens.issue('ann');
  const after = (access: ConstructorParameters<typeof Tokens>[0]['userFile']['access']) =>
    new Tokens({ key, userFile: { access } }).verify(token);
  expect(await after({ mode: 'users', users: new Map([...users, ['bob', 'other']]) })).toBeDefined();
  expect(await after({ mode: 'users', users: new Map([['bob', 'hash of bob']]) })).toBeUndefined();
  expect(await after({ mode: 'users', users: new Map([['ann', 'hash of another password']]) })).toBeUndefined();
  expect(await after({ mode: 'closed' })).toBeUndefined();
});

test('a token that says less than ours say, or more, is refused', async () => {
  const secret = Buffer.from(key);
  const { line } = claimsOf((await tokens.issue('ann')).token);
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const claims = { sub: 'ann', line, aud: 'shiplog', iat: now(), exp: now() + 300 };
  const sign = (changes: object, header: object = {}): Promise<string> =>
    new SignJWT({ ...claims, ...changes }).setProtectedHeader({ alg: 'HS256', ...header }).sign(secret);
  expect(await tokens.verify(await sign({}))).toEqual({ by: 'htpasswd', name: 'ann' });

  const [header, payload, signature] = parts(await sign({}));
  const elsewhere = Buffer.from('their own key, of the same length as ours'.padEnd(64));
  const byHand = (header: object, by: Buffer): string => {
    const signed = `${encode(header)}.${encode(claims)}`;
    return `${signed}.${createHmac('sha256', by).update(signed).digest('base64url')}`;
  };
  expect(await tokens.verify(byHand({ alg: 'HS256' }, secret))).toBeDefined();
  const forged: Record<string, string> = {
    'no token': '',
    'no parts': '...',
    'not base64': '*.*.*',
    'the header is no object': `${base64url.encode('7')}.${payload}.${signature}`,
    'no algorithm': new UnsecuredJWT(claims).encode(),
    'no algorithm, with a signature': `${encode({ alg: 'none' })}.${payload}.${signature}`,
    'another user’s payload under this signature': `${header}.${encode({ ...claims, sub: 'bob' })}.${signature}`,
    'nobody’s payload under this signature': `${header}.${encode({ aud: 'shiplog', exp: now() + 300 })}.${signature}`,
    'cut off': `${header}.${payload}.${signature.slice(0, -2)}`,
    'no signature': `${header}.${payload}.`,
    'another algorithm by our key': await sign({}, { alg: 'HS512' }),
    'their own key, which the header brings along': await new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', jwk })
      .sign(privateKey),
    'a symmetric key in the header': byHand(
      { alg: 'HS256', jwk: { kty: 'oct', k: elsewhere.toString('base64url') } },
      elsewhere,
    ),
    'a certificate in the header': await new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', x5c: ['MIIB'], kid: 'shiplog' })
      .sign(privateKey),
    'a crit that nobody knows': await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', crit: ['x-new'], 'x-new': true })
      .sign(secret, { crit: { 'x-new': true } }),
    'for another service': await sign({ aud: 'other' }),
    'for no service': await sign({ aud: undefined }),
    expired: await sign({ exp: now() - 1 }),
    'without an end': await sign({ exp: undefined }),
    'not yet': await sign({ nbf: now() + 1000 }),
    'without the line': await sign({ line: undefined }),
    'with another user’s line': await sign({ sub: 'bob' }),
    'of who has no line': await sign({ sub: 'eve', line: undefined }),
    'of an empty user': await sign({ sub: '' }),
  };
  for (const [what, token] of Object.entries(forged)) expect(await tokens.verify(token), what).toBeUndefined();
});
