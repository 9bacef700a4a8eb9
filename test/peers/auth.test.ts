import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hash } from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Server, startServer } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';
import { skopeo } from './support/skopeo.ts';

const forAnonymous = { repositories: 'public/**', users: ['anonymous'], actions: ['pull'] };
const forUsers = [
  { repositories: '**', users: ['ci'], actions: ['pull', 'push'] },
  { repositories: ['public/**', 'team/**'], users: ['*'], actions: ['pull'] },
];
let docker: Docker;
beforeAll(async () => {
  docker = await startDocker();
});
afterAll(() => docker[Symbol.asyncDispose]());

const modes = [
  {
    what: 'where anonymous may pull some, and so the challenge is Bearer',
    rules: [forAnonymous, ...forUsers],
    anonymous: true,
    says: {
      // Docker asks for a token, is told that it does not do, and shows words of its own.
      anonymous: /denied: requested access to the resource is denied/,
      wrong: /unauthorized: there is no such user, or the password is another/,
      skopeo: /unauthorized: this needs a user who has the right to it/,
    },
  },
  {
    what: 'where nobody gets in without a login, and so the challenge is Basic',
    rules: forUsers,
    anonymous: false,
    says: {
      anonymous: /no basic auth credentials/,
      wrong: /401 Unauthorized/,
      // The second: its own words, for what has no body.
      skopeo: /unauthorized: (?:a user and a password are needed|authentication required)/,
    },
  },
] as const;

describe.each(modes)('$what', ({ rules, anonymous, says }) => {
  let server: Server;
  let host: string;
  beforeAll(async () => {
    server = await startServer({ SHIPLOG_AUTH_RULES: JSON.stringify(rules) });
    host = `127.0.0.1:${server.httpPort}`;
    const lines = await Promise.all(['ci', 'dev'].map(async (user) => `${user}:${await hash('right', 4)}\n`));
    await writeFile(join(server.data, 'htpasswd'), lines.join(''));
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const login = (user: string, password: string): Promise<string> =>
    docker.cli(['login', '--username', user, '--password-stdin', host], password);
  const push = (name: string): Promise<string> => docker.cli(['push', `${host}/${name}`]);
  /** Into a Docker that has no layer of it. */
  async function pull(name: string): Promise<string> {
    await docker.cli(['system', 'prune', '--all', '--force']);
    return docker.cli(['pull', `${host}/${name}`]);
  }
  const remote = (name: string): string => `docker://${host}/${name}`;

  test('docker: each does what the rules allow, and reads why it may do no more', async () => {
    for (const name of ['public/base:1', 'team/web:1', 'private/app:1']) await docker.buildBusybox(`${host}/${name}`);
    await expect(push('public/base:1')).rejects.toThrow(says.anonymous);
    await expect(login('ci', 'wrong')).rejects.toThrow(says.wrong);
    expect(await login('ci', 'right')).toContain('Login Succeeded');
    for (const name of ['public/base:1', 'team/web:1', 'private/app:1']) {
      expect(await push(name)).toMatch(/1: digest: sha256:/);
    }

    expect(await login('dev', 'right')).toContain('Login Succeeded');
    await expect(pull('private/app:1')).rejects.toThrow('dev has no right to pull from private/app');
    await expect(pull('private/none:1')).rejects.toThrow('dev has no right to pull from private/none');
    expect(await pull('team/web:1')).toContain('Downloaded newer image');
    await expect(push('team/web:1')).rejects.toThrow('dev has no right to push to team/web');

    await docker.cli(['logout', host]);
    await expect(pull('team/web:1')).rejects.toThrow(says.anonymous);
    await expect(pull('team/none:1')).rejects.toThrow(says.anonymous);
    if (anonymous) expect(await pull('public/base:1')).toContain('Downloaded newer image');
    else await expect(pull('public/base:1')).rejects.toThrow(says.anonymous);
  });

  test('skopeo: likewise', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'shiplog-auth-'));
    const dir = `dir:${folder.path}/image`;
    const [asDev, asCi] = ['dev:right', 'ci:right'];
    await skopeo('copy', `--src-creds=${asCi}`, remote('private/app:1'), dir);
    await skopeo('copy', `--dest-creds=${asCi}`, dir, remote('private/app:2'));
    expect(JSON.parse(await skopeo('list-tags', `--creds=${asCi}`, remote('private/app'))).Tags).toEqual(['1', '2']);
    await expect(skopeo('delete', `--creds=${asCi}`, remote('private/app:2'))).rejects.toThrow(
      'ci has no right to delete from private/app',
    );

    await skopeo('inspect', `--creds=${asDev}`, remote('team/web:1'));
    await expect(skopeo('copy', `--dest-creds=${asDev}`, dir, remote('team/web:2'))).rejects.toThrow(
      'dev has no right to push to team/web',
    );
    await expect(skopeo('inspect', `--creds=${asDev}`, remote('private/app:1'))).rejects.toThrow(
      'dev has no right to pull from private/app',
    );

    await expect(skopeo('inspect', '--creds=ci:wrong', remote('public/base:1'))).rejects.toThrow(
      /unauthorized|password/,
    );
    await expect(skopeo('inspect', remote('team/web:1'))).rejects.toThrow(says.skopeo);
    await expect(skopeo('copy', dir, remote('public/base:2'))).rejects.toThrow(says.skopeo);
    if (anonymous) await skopeo('copy', remote('public/base:1'), `dir:${folder.path}/public`);
    else await expect(skopeo('inspect', remote('public/base:1'))).rejects.toThrow(says.skopeo);
  });
});
