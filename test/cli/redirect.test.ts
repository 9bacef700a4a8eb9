import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { expect, test } from 'vitest';
import { shiplog } from '../support/command.ts';

async function serve(listener: RequestListener): Promise<{ server: Server; url: string }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, url: `http://127.0.0.1:${address.port}` };
}

test('a server that points to another one gets nothing sent there', async () => {
  const asked: (string | undefined)[] = [];
  const other = await serve((request, response) => {
    asked.push(request.headers.authorization);
    response.end('{"records":[]}');
  });
  const first = await serve((_, response) => {
    response.writeHead(307, { Location: `${other.url}/api/logs` });
    response.end();
  });
  const { code, stderr } = await shiplog(['logs', '--url', first.url, '--user', 'ann:pw']);
  expect([code, asked]).toEqual([1, []]);
  expect(stderr).toMatch(/answers 307/);
  expect(stderr).not.toContain('pw');
  for (const { server } of [first, other]) server.close();
});
