import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../support/search.ts';
import { type Server, startServer } from '../support/server.ts';

async function send(server: Server, lines: readonly string[]): Promise<void> {
  const socket = connect(server.syslogPort, server.host);
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  socket.resume().end(lines.map((line) => `<14>1 - web-1 app - - - ${line}\n`).join(''));
  await closed;
}

test('a tail shows once what comes to any process on the data, in order, and nothing from before', async () => {
  await using server = await startServer();
  await using other = await startServer({ SHIPLOG_DATA: server.data });
  await send(server, ['before']);
  await eventually(
    async () => (await fetch(`${server.url}/api/logs?q=before`)).text(),
    (text) => text.includes('before'),
  );
  const request = get(`${server.url}/api/logs/tail?q=host:web-1`, { agent: false });
  const [answer]: IncomingMessage[] = await once(request, 'response');
  let text = '';
  answer?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const messages = (): string[] =>
    [...text.matchAll(/^data: (.*)$/gm)].map(([, json = '']) => String(JSON.parse(json).message));
  const numbers = (name: string): string[] => Array.from({ length: 500 }, (_, index) => `${name} ${index}`);
  await Promise.all([send(server, numbers('here')), send(other, numbers('there'))]);
  await eventually(
    async () => messages(),
    (found) => found.length >= 1000,
    30_000,
  );
  expect(messages().filter((message) => message.startsWith('here'))).toEqual(numbers('here'));
  expect(messages().filter((message) => message.startsWith('there'))).toEqual(numbers('there'));
  expect(messages()).toHaveLength(1000);
  await server.stop();
  expect(answer?.complete).toBe(true);

  const histogram = await fetch(`${other.url}/api/logs/histogram?q=here%20OR%20there&buckets=1&by=host`);
  expect(await histogram.json()).toMatchObject({ buckets: [{ count: 1000, by: { 'web-1': 1000 } }] });
});
