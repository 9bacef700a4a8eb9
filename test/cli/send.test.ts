import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { send } from '../../src/cli/send.ts';
import { startScripted } from '../support/scripted-server.ts';

const piece = Buffer.alloc(256 * 1024);
const put = { method: 'PUT', headers: { 'x-test': 'yes' } };

test('a server that is slow is waited for: what it has not taken is not read', async () => {
  let [sent, received, most] = [0, 0, 0];
  async function* body(): AsyncGenerator<Uint8Array, void, void> {
    for (; sent < 256 * piece.length; sent += piece.length) {
      most = Math.max(most, sent - received);
      yield piece;
    }
  }
  await using server = await startScripted((request, answer) => {
    request.on('data', (chunk: Buffer) => {
      received += chunk.length;
      request.pause();
      setImmediate(() => request.resume());
    });
    request.on('end', () => answer.end(`${request.method} ${String(request.headers['x-test'])}`));
  });
  const answer = await send(new URL(server.url), { ...put, body: body() });
  expect([answer.status, await answer.text(), received]).toEqual([200, 'PUT yes', sent]);
  // Sockets hold some of it.
  expect(most).toBeLessThan(16 * 1024 * 1024);
});

test('a server that answers before the end is heard, and the rest is not read', async () => {
  const ended = Promise.withResolvers<void>();
  async function* body(): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        yield piece;
        await turn();
      }
    } finally {
      ended.resolve();
    }
  }
  await using server = await startScripted((request, answer) => {
    request.once('data', () => answer.writeHead(507).end('full'));
  });
  const answer = await send(new URL(server.url), { ...put, body: body() });
  expect([answer.status, answer.ok, await answer.text()]).toEqual([507, false, 'full']);
  await ended.promise;
});

test('a body that fails, and a server that goes away, fail the request', async () => {
  await using server = await startScripted((request) => request.on('data', () => request.socket.destroy()));
  async function* broken(): AsyncGenerator<Uint8Array, void, void> {
    yield Buffer.alloc(0);
    throw new Error('it cannot be read');
  }
  async function* endless(): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      yield piece;
      await turn();
    }
  }
  await expect(send(new URL(server.url), { ...put, body: broken() })).rejects.toThrow('it cannot be read');
  await expect(send(new URL(server.url), { ...put, body: endless() })).rejects.toThrow(
    /ECONNRESET|socket hang up|EPIPE/,
  );
});
