import { describe, expect, test } from 'vitest';
import { shiplog } from '../support/command.ts';
import { startScripted } from '../support/scripted-server.ts';

describe('a user and a password in the URL', () => {
  const basic = (login: string): string => `Basic ${Buffer.from(login).toString('base64')}`;

  test.each<[what: string, login: string, args: string[], env: Record<string, string>, sent: string]>([
    ['are the log-in', 'ci:p%40s:w%C3%A4', [], {}, 'ci:p@s:wä'],
    ['yield to --user', 'ci:pw', ['--user', 'ann:other'], {}, 'ann:other'],
    ['win over the variables', 'ci:pw', [], { SHIPLOG_USER: 'ann', SHIPLOG_PASSWORD: 'other' }, 'ci:pw'],
    ['may be a user alone', 'ci', [], { SHIPLOG_PASSWORD: 'other' }, 'ci:other'],
  ])('%s', async (_what, login, args, env, sent) => {
    const asked: (string | undefined)[] = [];
    await using server = await startScripted((request, response) => {
      asked.push(request.headers.authorization);
      response.end('{"repositories":[]}');
    });
    const url = server.url.replace('//', `//${login}@`);
    expect(await shiplog(['ls', '--url', url, ...args], { SHIPLOG_DATA: '/nowhere', ...env })).toMatchObject({
      code: 0,
    });
    await shiplog(['ls', ...args], { SHIPLOG_DATA: '/nowhere', SHIPLOG_URL: url, ...env });
    expect(asked).toEqual([basic(sent), basic(sent)]);
  });

  test.each([
    ['http://ci:hidden@127.0.0.1:9', /no shiplog answers at http:\/\/127\.0\.0\.1:9 /],
    ['ftp://ci:hidden@127.0.0.1:9', /expected a URL .*, not ftp:\/\/…@127\.0\.0\.1:9/],
    ['ci:hidden@127.0.0.1:9', /expected a URL .*, not …@127\.0\.0\.1:9/],
    ['http://ci:hid/den@127.0.0.1:9', /expected a URL .*, not http:\/\/…@127\.0\.0\.1:9/],
    ['http://ci:hidden%@127.0.0.1:9', /written as %25/],
  ])('are never told, whatever is wrong with %s', async (url, expected) => {
    for (const [args, env] of [
      [['--url', url], {}],
      [[], { SHIPLOG_URL: url }],
    ] as const) {
      const { stdout, stderr } = await shiplog(['ls', ...args], { SHIPLOG_DATA: '/nowhere', ...env });
      expect(stderr).toMatch(expected);
      expect(stdout + stderr).not.toMatch(/hid/);
    }
  });
});

test('a server that points to another one gets nothing sent there', async () => {
  const asked: (string | undefined)[] = [];
  await using other = await startScripted((request, response) => {
    asked.push(request.headers.authorization);
    response.end('{"records":[]}');
  });
  await using first = await startScripted((_, response) => {
    response.writeHead(307, { Location: `${other.url}/api/logs` });
    response.end();
  });
  const { code, stderr } = await shiplog(['logs', '--url', first.url, '--user', 'ann:pw']);
  expect([code, asked]).toEqual([1, []]);
  expect(stderr).toMatch(/answers 307/);
  expect(stderr).not.toContain('pw');
});
