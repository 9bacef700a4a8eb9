import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hash } from 'bcryptjs';
import { startServer } from '../../support/server.ts';

/** The one user of a registry that asks who is there. */
export const account = { name: 'ci', password: 'right' } as const;

/** Who gets in: everyone, the one user by a password, or the one user by a token that a password gets. */
export type Users = 'open' | 'htpasswd' | 'tokens';

/** Where anonymous may pull something, the registry asks for tokens. */
const tokens = {
  SHIPLOG_AUTH_RULES:
    '[{ repositories: "**", users: ["*"], actions: [pull, push, delete] }, { repositories: public, users: [anonymous], actions: [pull] }]',
};

/** A running shiplog, as clients see it. */
export interface Shiplog extends AsyncDisposable {
  /** As it stands in image names. */
  readonly host: string;
  /** Asks it for a path, logged in where it has a user. */
  fetch(path: string, init?: { method?: string; headers?: Record<string, string>; body?: string }): Promise<Response>;
}

/** Starts one on data of its own: open, or with one user and nothing for anyone else. */
export async function startShiplog(users: Users, settings: Readonly<Record<string, string>> = {}): Promise<Shiplog> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-users-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true });
  const htpasswd = join(folder, 'htpasswd');
  if (users !== 'open') await writeFile(htpasswd, `${account.name}:${await hash(account.password, 4)}\n`);
  const basic = `Basic ${Buffer.from(`${account.name}:${account.password}`).toString('base64')}`;
  try {
    const server = await startServer({
      ...(users === 'tokens' && tokens),
      ...settings,
      SHIPLOG_AUTH_HTPASSWD: htpasswd,
    });
    return {
      host: `127.0.0.1:${server.httpPort}`,
      fetch: (path, { headers, ...init } = {}) =>
        fetch(server.url + path, {
          ...init,
          headers: { ...(users !== 'open' && { authorization: basic }), ...headers },
        }),
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
