import { once } from 'node:events';
import { createServer, request, type ClientRequest } from 'node:http';
import { expect, test } from 'vitest';
import { MemoryBudget } from '../../src/http/body.ts';
import { HttpError } from '../../src/http/errors.ts';
import { readBody, withWhole } from '../../src/registry/body.ts';

test('a piece of a body that is given back takes no memory any more, and its neighbours are whole', async () => {
  const seen = Promise.withResolvers<number[]>();
  const server = createServer((incoming, response) => {
    const read = async (): Promise<number[]> => {
      const body = readBody(incoming);
      const pieces: Uint8Array[] = [];
      for await (const piece of body) pieces.push(piece);
      const [first] = pieces;
      if (first !== undefined) body.release?.(first);
      return pieces.map(({ length }) => length);
    };
    seen.resolve(read());
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const outgoing = request({ port, host: '127.0.0.1', method: 'PUT', agent: false });
  outgoing.write('x'.repeat(1000));
  outgoing.end('y'.repeat(2000));
  expect((await seen.promise).slice(0, 2)).toEqual([0, 2000]);
  server.close();
});

test('all bodies that are being received share one bound, and give it back', async () => {
  const budget = new MemoryBudget(10);
  const server = createServer((incoming, response) => {
    withWhole(incoming, { limit: 8, budget }, async (bytes) => bytes.length)
      .then((length) => response.end(String(length)))
      .catch((error: unknown) => {
        response.statusCode = error instanceof HttpError ? error.status : 500;
        response.end();
      });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const open = (): ClientRequest => request({ port, host: '127.0.0.1', method: 'PUT', agent: false });
  const send = async (length: number): Promise<number | undefined> => {
    const outgoing = open();
    outgoing.end('x'.repeat(length));
    const [answer] = await once(outgoing, 'response');
    answer.resume();
    await once(answer, 'end');
    return answer.statusCode;
  };

  expect([await send(8), await send(9)]).toEqual([200, 413]);
  const slow = open();
  slow.on('error', () => undefined);
  slow.setHeader('Content-Length', '8');
  const arrived = once(server, 'request');
  slow.write('x'.repeat(7));
  const [incoming] = await arrived;
  expect([await send(8), await send(3)]).toEqual([503, 200]);
  const gone = new Promise((resolve) => incoming.once('close', resolve));
  slow.destroy();
  await gone;
  expect(await send(8)).toBe(200);
  server.close();
});
