import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test, vi } from 'vitest';
import { startTestService } from '../support/service.ts';

test('at the end syslog connections are drained while requests are finished, and not after them', async () => {
  const service = await startTestService({});
  const client = connect(service.port, '127.0.0.1');
  client.setEncoding('utf8');
  const body = '{"message":"late"}';
  const head = `POST /logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  client.write(`${head}\r\nExpect: 100-continue\r\n\r\n`);
  expect(String(await once(client, 'data'))).toContain('100 Continue');
  const ended = service[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(service.pipeline.drained).toBe(true), 20_000);
  client.write(body);
  expect(String(await once(client, 'data'))).toContain('"accepted":1');
  await ended;
});
