import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { compareSync } from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { shiplog, shiplogProcess } from '../support/command.ts';
import { basic, startTestService, type TestService, userLine } from '../support/service.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('the command line', () => {
  test.each<[args: string[], code: number, stdout: RegExp, stderr: RegExp]>([
    [['help'], 0, /^Usage: shiplog/, /^$/],
    [['--help'], 0, /^Usage: shiplog/, /^$/],
    [['version'], 0, /^shiplog \d+\.\d+\.\d+/, /^$/],
    [['--version'], 0, /^shiplog \d/, /^$/],
    [['nonsense'], 2, /^$/, /there is no command "nonsense"[^]*Usage: shiplog/],
    [['constructor'], 2, /^$/, /there is no command/],
    [['--nonsense'], 2, /^$/, /--nonsense[^]*Usage: shiplog/],
    [['logs', '--nonsense'], 2, /^$/, /^shiplog: Unknown option '--nonsense'\n\nUsage: shiplog logs/],
    [['serve', 'extra'], 2, /^$/, /extra[^]*Usage: shiplog/],
    [['logs', '--help'], 0, /^Usage: shiplog logs/, /^$/],
    [['version', '--help'], 0, /^Usage: shiplog version/, /^$/],
    [['help', 'logs'], 0, /^Usage: shiplog logs/, /^$/],
    [['help', 'help'], 0, /^Usage: shiplog \[COMMAND\]/, /^$/],
    [['help', 'nonsense'], 2, /^$/, /there is no command "nonsense"/],
    [['htpasswd', '--help'], 0, /^Usage: shiplog htpasswd/, /^$/],
    [['htpasswd'], 2, /^$/, /give one name/],
    [['htpasswd', 'a:b'], 2, /^$/, /no colon/],
    [['check-config'], 0, /^data: /, /^$/],
  ])('shiplog %j exits with %i', async (args, code, stdout, stderr) => {
    const outcome = await shiplog(args);
    expect(outcome.code).toBe(code);
    expect(outcome.stdout).toMatch(stdout);
    expect(outcome.stderr).toMatch(stderr);
  });

  test('a configuration that cannot be used is told, without a stack, by each command', async () => {
    const env = { SHIPLOG_HTTP_LISTEN: 'x' };
    for (const args of [['check-config'], ['serve'], ['logs'], ['htpasswd', 'ann']]) {
      const { code, stdout, stderr } = await shiplog(args, env);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/^shiplog: the configuration cannot be used:\n {2}http\.listen \(\$SHIPLOG_HTTP_LISTEN\)/);
      expect(stderr).not.toMatch(/\n\s+at /);
    }
  });

  test('a folder that cannot be made is told without a stack', async () => {
    await writeFile(join(folder, 'file'), '');
    const { code, stderr } = await shiplogProcess(['serve'], {
      SHIPLOG_DATA: join(folder, 'file/below'),
      SHIPLOG_HTTP_LISTEN: '127.0.0.1:0',
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^shiplog: E\w+: .*file/);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test('the command is executable as it is', async () => {
    expect(await shiplogProcess(['version'], {})).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^shiplog/),
      stderr: '',
    });
    const main = resolve(import.meta.dirname, '../../src/main.ts');
    expect((await stat(main)).mode & 0o777).toBe(0o755);
    expect(await readFile(main, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });
});

describe('shiplog htpasswd', () => {
  test('makes users, changes passwords and removes users; the file is of its owner alone', async () => {
    const file = join(folder, 'users/htpasswd');
    const env = { SHIPLOG_AUTH_HTPASSWD: file };
    expect(await shiplog(['htpasswd', 'ann'], env, 'one\n')).toMatchObject({ code: 0, stdout: '' });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await shiplog(['htpasswd', 'bob'], env, 'two');
    await shiplog(['htpasswd', 'ann'], env, 'three\n');
    const lines = (await readFile(file, 'utf8')).split('\n');
    expect(lines.map((line) => line.split(':')[0])).toEqual(['ann', 'bob', '']);
    const [ann = '', bob = ''] = lines.map((line) => line.slice(4));
    expect(ann).toMatch(/^\$2y\$10\$/);
    expect([compareSync('three', ann), compareSync('one', ann), compareSync('two', bob)]).toEqual([true, false, true]);

    expect((await shiplog(['htpasswd', '--delete', 'eve'], env)).code).toBe(1);
    expect((await shiplog(['htpasswd', '--delete', 'ann'], env)).code).toBe(0);
    expect((await readFile(file, 'utf8')).startsWith('bob:')).toBe(true);
    const last = await shiplog(['htpasswd', '--delete', 'bob'], env);
    expect(last.stderr).toMatch(/nobody can log in/);
    expect(await readdir(join(folder, 'users'))).toEqual([]);
  });

  test('keeps the mode and the other lines of a file that is there', async () => {
    const file = join(folder, 'shared');
    await writeFile(file, '# ours\nold:$apr1$x\n', { mode: 0o640 });
    await shiplog(['htpasswd', 'ann'], { SHIPLOG_AUTH_HTPASSWD: file }, 'pw');
    expect((await stat(file)).mode & 0o777).toBe(0o640);
    expect(await readFile(file, 'utf8')).toMatch(/^# ours\nold:\$apr1\$x\nann:\$2y\$/);
  });

  test.each([
    ['', /not empty/],
    ['x'.repeat(73), /72 bytes/],
    ['a\u0000b', /control characters/],
  ])('refuses the password %j', async (password, message) => {
    const file = join(folder, 'refused');
    const { code, stderr } = await shiplog(['htpasswd', 'ann'], { SHIPLOG_AUTH_HTPASSWD: file }, password);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    await expect(stat(file)).rejects.toThrow(/ENOENT/);
  });

  test('a server that runs takes the user, the new password and the end at once', async () => {
    await using service = await startTestService();
    const env = { SHIPLOG_DATA: service.data };
    const status = async (password: string): Promise<number> =>
      (await service.send('/v2/', { headers: basic('ann', password) })).status;
    await shiplog(['htpasswd', 'ann'], env, 'one');
    expect([await status('one'), await status('two')]).toEqual([200, 401]);
    await shiplog(['htpasswd', 'ann'], env, 'two');
    expect(await status('two')).toBe(200);
    expect(await status('one')).toBe(401);
  });
});

describe('shiplog logs', () => {
  let service: TestService;
  let env: Record<string, string>;
  beforeAll(async () => {
    service = await startTestService({ users: userLine('ann', 'pw') });
    env = { SHIPLOG_DATA: service.data, SHIPLOG_HTTP_LISTEN: `127.0.0.1:${service.port}` };
    service.pipeline.page = {
      records: ['{"@timestamp":"T2","message":"second\\u001b[2J"}', '{"@timestamp":"T1","message":"first"}'],
    };
  });
  afterAll(() => service[Symbol.asyncDispose]());

  test('prints records oldest first, with control characters made visible; the local key lets it in', async () => {
    expect(await shiplog(['logs'], env)).toEqual({
      code: 0,
      stdout: 'T1 - - - - first\nT2 - - - - second\\x1b[2J\n',
      stderr: '',
    });
  });

  test('--json prints whole records', async () => {
    const { stdout } = await shiplog(['logs', '--json'], env);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([{ message: 'first' }, { message: 'second\u001b[2J' }]);
  });

  test('a search that answered in part is gone on with', async () => {
    const whole = service.pipeline.page;
    service.pipeline.page = { ...whole, next: 'there' };
    service.pipeline.rest = { records: ['{"message":"rest"}'] };
    expect((await shiplog(['logs', '--limit', '3'], env)).stdout).toMatch(/rest\n.*first\n.*second/);
    expect(service.pipeline.searches.at(-1)).toMatchObject({ limit: 1, before: 'there' });
    expect((await shiplog(['logs', '--limit', '2'], env)).stdout).not.toContain('rest');
    service.pipeline.page = whole;
  });

  test('query and filters are one query, in which a value cannot become more than a value', async () => {
    const before = service.pipeline.searches.length;
    await shiplog(
      ['logs', 'a OR b', '--host', 'x) OR (y', '--image', 'team/web*', '--limit', '7', '--since', '1700000000000'],
      env,
    );
    const request = service.pipeline.searches[before];
    expect(request).toMatchObject({ limit: 7, since: 1_700_000_000_000 });
    expect(request?.query).toMatchObject({
      kind: 'and',
      operands: [
        { kind: 'or' },
        { fields: expect.arrayContaining(['container.image.name']), pattern: ['team/web', ''] },
        { fields: ['host.name'], pattern: ['x) OR (y'] },
      ],
    });
  });

  const away = { SHIPLOG_DATA: '/nowhere', SHIPLOG_URL: 'http://127.0.0.1:9' };
  test.each<[what: string, args: string[], env: () => Record<string, string>, code: number, stderr: RegExp]>([
    ['no server', [], () => away, 1, /no shiplog answers at http:\/\/127\.0\.0\.1:9 .*is it running \(npm start\)/],
    ['no user', [], () => ({ ...env, SHIPLOG_DATA: '/nowhere' }), 1, /401: it wants a user; give --user/],
    ['a wrong user', ['--user', 'ann:x'], () => env, 1, /401: there is no such user, or the password is another/],
    ['a user without a password', ['--user', 'ann'], () => env, 2, /a password is needed too/],
    ['a user', ['--user', 'ann:pw'], () => ({ ...env, SHIPLOG_DATA: '/nowhere' }), 0, /^$/],
    [
      'a user in the environment',
      [],
      () => ({ ...env, SHIPLOG_DATA: '/nowhere', SHIPLOG_USER: 'ann', SHIPLOG_PASSWORD: 'pw' }),
      0,
      /^$/,
    ],
    ['a bad query', ['("'], () => env, 1, /400: q, at character \d+: /],
    ['a bad time', ['--since', 'soon'], () => env, 1, /400: since: expected/],
    ['a bad URL', ['--url', 'registry.corp'], () => env, 2, /expected a URL/],
  ])('%s', async (_what, args, environment, code, stderr) => {
    const outcome = await shiplog(['logs', ...args], environment());
    expect(outcome.stderr).toMatch(stderr);
    expect(outcome.code).toBe(code);
  });
});
