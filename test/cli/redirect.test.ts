import { expect, test } from 'vitest';
import { shiplog } from '../support/command.ts';
import { startScripted } from '../support/scripted-server.ts';

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
