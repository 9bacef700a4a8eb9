import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import Koa from 'koa';
import { expect, test } from 'vitest';
import type { RequestState } from '../../src/http/state.ts';
import { searchLogs } from '../../src/logs/search.ts';

test('a search whose client went away before it began is aborted from the start', async () => {
  const aborted = Promise.withResolvers<boolean>();
  const app = new Koa<RequestState>();
  // As if it took long to find out who the client is.
  app.use(async (ctx, next) => {
    await once(ctx.res, 'close');
    await next();
  });
  app.use(
    searchLogs({
      async search(_, signal) {
        aborted.resolve(signal.aborted);
        return { records: [] };
      },
    }),
  );
  const handle = app.callback();
  const server = createServer((request, response) => void handle(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const client = connect(address.port, '127.0.0.1');
  client.write('GET /api/logs HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(server, 'request');
  client.destroy();
  expect(await aborted.promise).toBe(true);
  server.close();
});
