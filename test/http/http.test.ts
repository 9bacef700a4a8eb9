import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BlockList } from 'node:net';
import type Koa from 'koa';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../../src/http/app.ts';
import { HttpError } from '../../src/http/errors.ts';
import { healthRouter, type Readiness } from '../../src/http/health.ts';
import { createMetrics } from '../../src/http/metrics.ts';
import { type HttpServer, listenHttp } from '../../src/http/server.ts';
import type { RequestState } from '../../src/http/state.ts';
import { openLog } from '../../src/log.ts';
import { blockList } from '../../src/networks.ts';
import { codeOf, send } from '../support/service.ts';

interface Setup {
  readonly idleTimeout?: number;
  readonly shutdownGrace?: number;
  readonly trusted?: BlockList;
  readonly logged?: Record<string, unknown>[];
}

async function serve(mount: (app: Koa<RequestState>) => void, setup: Setup = {}): Promise<HttpServer> {
  const log = openLog({ write: (line) => void setup.logged?.push(JSON.parse(line)) });
  const trustedProxies = setup.trusted ?? new BlockList();
  const handler = createApp({ log, metrics: createMetrics(), trustedProxies, mount });
  return listenHttp(handler, {
    listen: { host: '127.0.0.1', port: 0 },
    idleTimeout: setup.idleTimeout ?? 5000,
    shutdownGrace: setup.shutdownGrace ?? 1000,
    log,
  });
}

/** A connection that is written to by hand. */
async function dial(server: HttpServer): Promise<{ socket: Socket; seen: () => string; ended: Promise<void> }> {
  const socket = connect(server.address.port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => (text += String(chunk)));
  socket.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await once(socket, 'connect');
  return { socket, seen: () => text, ended };
}

async function until(condition: () => boolean): Promise<void> {
  for (let n = 0; n < 500 && !condition(); n += 1) await sleep(5);
  expect(condition()).toBe(true);
}

describe('failures', () => {
  const logged: Record<string, unknown>[] = [];
  let server: HttpServer;
  beforeAll(async () => {
    server = await serve(
      (app) =>
        app.use(async (ctx) => {
          if (ctx.path === '/client') {
            ctx.set('ETag', '"x"');
            throw new HttpError(418, 'TEAPOT', 'short and stout', {
              detail: { a: 1 },
              headers: { 'X-A': 'b' },
              reason: 'Teapot',
            });
          }
          if (ctx.path === '/server') {
            const headers = { authorization: 'hunter2' };
            throw Object.assign(
              new Error('the secret cause', { cause: Object.assign(new Error('deeper'), { headers }) }),
              { headers },
            );
          }
          if (ctx.path === '/full') throw new HttpError(503, 'UNAVAILABLE', 'full', { cause: new Error('expected') });
          if (ctx.path === '/odd') throw Object.assign(new Error('x'), { status: 200 });
          if (ctx.path === '/stream') {
            ctx.body = Readable.from(
              (async function* () {
                yield 'half';
                await sleep(20);
                throw new Error('torn');
              })(),
            );
          }
          if (ctx.path === '/decode') decodeURIComponent(ctx.path + '%');
        }),
      { logged },
    );
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test.each<[string, string, number, string]>([
    ['GET', '/client', 418, 'TEAPOT'],
    ['GET', '/server', 500, 'UNKNOWN'],
    ['GET', '/odd', 500, 'UNKNOWN'],
    ['GET', '/nothing', 404, 'NOT_FOUND'],
    ['POST', '/nothing', 404, 'NOT_FOUND'],
  ])('%s %s is %i %s, in one shape', async (method, path, status, code) => {
    const answer = await send(server.address.port, path, { method });
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(Number(answer.headers['content-length'])).toBe(Buffer.byteLength(answer.text));
  });

  test('a failure has its own header fields, and none of the success', async () => {
    const answer = await send(server.address.port, '/client');
    expect(answer.headers['x-a']).toBe('b');
    expect(answer.headers['etag']).toBeUndefined();
    expect(JSON.parse(answer.text)).toEqual({
      errors: [{ code: 'TEAPOT', message: 'short and stout', detail: { a: 1 } }],
    });
  });

  test('HEAD has the header of GET and no body', async () => {
    const [get, head] = [
      await send(server.address.port, '/client'),
      await send(server.address.port, '/client', { method: 'HEAD' }),
    ];
    expect(head.text).toBe('');
    expect([head.status, head.headers['content-length']]).toEqual([get.status, get.headers['content-length']]);
  });

  test('the cause of a 500 is logged with its stack, and not told', async () => {
    logged.length = 0;
    const answer = await send(server.address.port, '/server');
    expect(answer.text).not.toContain('secret');
    await until(() => logged.length > 0);
    expect(logged).toMatchObject([
      {
        level: 50,
        status: 500,
        err: { message: 'the secret cause', stack: expect.anything(), cause: { message: 'deeper' } },
      },
    ]);
    expect(JSON.stringify(logged)).not.toContain('hunter2');
  });

  test('what the server cannot do at this moment is logged with its reason, and no stack', async () => {
    logged.length = 0;
    await send(server.address.port, '/full');
    await until(() => logged.length > 0);
    expect(logged).toMatchObject([{ level: 40, status: 503, code: 'UNAVAILABLE', reason: 'full: expected' }]);
    expect(logged[0]).not.toHaveProperty('err');
  });

  test('an answer that breaks off is seen as broken by the client', async () => {
    await expect(send(server.address.port, '/stream')).rejects.toThrow();
    await until(() => logged.some(({ msg }) => msg === 'an answer broke off'));
  });
});

describe('a body that nobody reads', () => {
  const mount = (app: Koa<RequestState>): void => {
    app.use(async (ctx) => {
      if (ctx.path === '/refuse') throw new HttpError(401, 'UNAUTHORIZED', 'no');
      ctx.body = 'ok';
    });
  };

  test('when it is small, the connection goes on with the next request', async () => {
    await using server = await serve(mount);
    const { socket, seen } = await dial(server);
    socket.write(`POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n`);
    await until(() => seen().includes('UNAUTHORIZED'));
    socket.write(`${'x'.repeat(10_000)}GET /next HTTP/1.1\r\nHost: x\r\n\r\n`);
    await until(() => seen().includes('200 OK'));
    socket.destroy();
  });

  test('when it is large, the answer comes before its end, and the connection is closed', async () => {
    await using server = await serve(mount);
    const { socket, seen, ended } = await dial(server);
    socket.write(`POST /refuse HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    socket.write(chunk);
    await until(() => seen().includes('UNAUTHORIZED'));
    expect(seen()).toContain('Connection: close');
    let sent = 0;
    while (!socket.destroyed && sent < 1000) {
      sent += 1;
      if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), ended]).catch(() => undefined);
    }
    await ended;
    // 16 MiB are read and dropped, and what the two kernels hold may have been sent.
    expect(sent).toBeLessThan(900);
  });
});

describe('silence', () => {
  const mount = (app: Koa<RequestState>): void => {
    app.use(async (ctx) => {
      if (ctx.path === '/slow') await sleep(400);
      if (ctx.path === '/read') for await (const chunk of ctx.req) void chunk;
      ctx.body = 'done';
    });
  };

  test('a client that stops in the middle of its body is cut off', async () => {
    await using server = await serve(mount, { idleTimeout: 100 });
    const { socket, ended } = await dial(server);
    socket.write('POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc');
    await ended;
  });

  test('a slow client is not, as long as it goes on', async () => {
    await using server = await serve(mount, { idleTimeout: 300 });
    const { socket, seen } = await dial(server);
    socket.write('POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n');
    for (let n = 0; n < 10; n += 1) {
      await sleep(60);
      socket.write('x');
    }
    await until(() => seen().includes('done'));
  });

  test('a handler that takes long is not the silence of the client', async () => {
    await using server = await serve(mount, { idleTimeout: 100 });
    expect((await send(server.address.port, '/slow')).text).toBe('done');
  });

  test('a connection without a request is cut off', async () => {
    await using server = await serve(mount, { idleTimeout: 100 });
    await (
      await dial(server)
    ).ended;
  });
});

describe('the end', () => {
  test('a request that runs is finished, its connection closed, and no new one taken', async () => {
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    let arrived = false;
    const server = await serve((app) =>
      app.use(async (ctx) => {
        arrived = true;
        await gate;
        ctx.body = 'done';
      }),
    );
    const answer = send(server.address.port, '/');
    await until(() => arrived);
    const end = server[Symbol.asyncDispose]();
    await expect(send(server.address.port, '/')).rejects.toThrow(/ECONNREFUSED/);
    go();
    expect(await answer).toMatchObject({ status: 200, text: 'done', headers: { connection: 'close' } });
    await end;
  });

  test('a connection that was accepted just before the end has its first request answered, if that comes soon', async () => {
    await using server = await serve((app) => app.use((ctx) => void (ctx.body = 'answered')), {
      shutdownGrace: 3_600_000,
    });
    const [late, silent] = [await dial(server), await dial(server)];
    // A round trip of another one: that the server knows of them by now.
    expect((await fetch(`http://127.0.0.1:${server.address.port}/`)).status).toBe(200);
    const ended = server[Symbol.asyncDispose]();
    late.socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await Promise.all([late.ended, silent.ended, ended]);
    expect(late.seen()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n[^]*answered$/);
    expect(silent.seen()).toBe('');
  });

  test('what does not end within the grace is cut', async () => {
    const server = await serve((app) => app.use(() => new Promise(() => undefined)), { shutdownGrace: 50 });
    const answer = send(server.address.port, '/');
    await sleep(50);
    await server[Symbol.asyncDispose]();
    await expect(answer).rejects.toThrow();
  });

  test('an answer that was under way closes its connection too; idle ones are closed soon, after a request that still comes', async () => {
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const server = await serve(
      (app) =>
        app.use((ctx) => {
          if (ctx.path === '/short') return void (ctx.body = 'short');
          ctx.body = Readable.from(
            (async function* () {
              yield 'first';
              await gate;
              yield 'last';
            })(),
          );
        }),
      { shutdownGrace: 20_000 },
    );
    const [busy, idle, late] = [await dial(server), await dial(server), await dial(server)];
    busy.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    idle.socket.write('GET /short HTTP/1.1\r\nHost: x\r\n\r\n');
    late.socket.write('GET /short HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => idle.seen().endsWith('short') && late.seen().endsWith('short'));
    await until(() => busy.seen().includes('first'));
    const end = server[Symbol.asyncDispose]();
    await sleep(100);
    late.socket.write('GET /short HTTP/1.1\r\nHost: x\r\n\r\n');
    await late.ended;
    expect(late.seen().split('HTTP/1.1 200')).toHaveLength(3);
    expect(late.seen()).toContain('Connection: close');
    await idle.ended;
    go();
    await end;
    await busy.ended;
    expect(busy.seen()).toContain('last');
  });
});

test.each<[what: string, forwarded: string | undefined, peer: string]>([
  ['no header', undefined, '127.0.0.1'],
  ['one hop', '10.9.9.9', '10.9.9.9'],
  ['what the client itself wrote does not count', '1.1.1.1, 10.9.9.9', '10.9.9.9'],
  ['several trusted proxies', '1.1.1.1, 10.9.9.9, 192.168.0.7', '10.9.9.9'],
  ['no address', 'unknown', '127.0.0.1'],
  ['all are trusted', '192.168.0.1, 192.168.0.2', '192.168.0.1'],
])('who asks, behind trusted proxies: %s', async (_what, forwarded, peer) => {
  const mount = (app: Koa<RequestState>): void => void app.use((ctx) => (ctx.body = ctx.state.peer.address));
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  await using behind = await serve(mount, { trusted: blockList(['127.0.0.0/8', '192.168.0.0/16']) });
  expect((await send(behind.address.port, '/', { headers })).text).toBe(peer);
  await using direct = await serve(mount);
  expect((await send(direct.address.port, '/', { headers })).text).toBe('127.0.0.1');
});

test('a request is one line of the log, without the query', async () => {
  const logged: Record<string, unknown>[] = [];
  await using server = await serve((app) => app.use((ctx) => (ctx.body = 'hello')), { logged });
  await send(server.address.port, '/a%1b%9b?q=secret');
  await until(() => logged.length > 0);
  expect(logged).toMatchObject([{ method: 'GET', path: '/a%1b%9b', status: 200, peer: '127.0.0.1', msg: 'request' }]);
  expect(JSON.stringify(logged)).not.toContain('secret');
  // The whole request came with the first packet.
  expect(logged[0]?.['received']).toBeGreaterThan(20);
});

test('requests that come before the answers to others are answered in turn, one at a time', async () => {
  let [running, most, answered] = [0, 0, 0];
  await using server = await serve((app) =>
    app.use(async (ctx) => {
      running += 1;
      most = Math.max(most, running);
      await sleep(1);
      running -= 1;
      answered += 1;
      ctx.body = ctx.path;
    }),
  );
  const client = await dial(server);
  client.socket.write(Array.from({ length: 20 }, (_, n) => `GET /${n} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''));
  await until(() => client.seen().endsWith('/19'));
  expect(client.seen().match(/^\/\d+/gm)).toEqual(Array.from({ length: 20 }, (_, n) => `/${n}`));
  expect([most, answered]).toEqual([1, 20]);
  client.socket.destroy();
});

test('after an answer that ends the connection, no request that came with it is done', async () => {
  const done: string[] = [];
  await using server = await serve((app) =>
    app.use(async (ctx) => {
      done.push(ctx.path);
      await sleep(1);
      ctx.set('Connection', 'close');
      ctx.body = 'bye';
    }),
  );
  const client = await dial(server);
  client.socket.write('GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nGET /b HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.ended;
  expect(done).toEqual(['/a']);
});

test('a client that sends requests without end and takes no answer is cut off', async () => {
  let started = 0;
  await using server = await serve((app) =>
    app.use(async (ctx) => {
      started += 1;
      await once(ctx.res, 'close');
    }),
  );
  const client = await dial(server);
  client.socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(1000));
  await client.ended;
  expect(started).toBe(1);
});

test('a client that goes away is no error of the server', async () => {
  const logged: Record<string, unknown>[] = [];
  await using server = await serve(
    (app) =>
      app.use(async (ctx) => {
        for await (const chunk of ctx.req) void chunk;
      }),
    { logged },
  );
  const { socket } = await dial(server);
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc');
  await sleep(20);
  socket.destroy();
  await until(() => logged.length > 0);
  expect(logged).toMatchObject([{ level: 30, aborted: true, status: 499 }]);
});

test('ready is what every part says; live asks none', async () => {
  let up = false;
  const logs = (): Readiness => ({ ready: up, state: up ? 'ok' : 'the spool is full' });
  await using server = await serve((app) =>
    app.use(healthRouter({ storage: () => ({ ready: true, state: 'ok' }), logs }).routes()),
  );
  const { port } = server.address;
  expect((await send(port, '/health/live')).status).toBe(200);
  const away = await send(port, '/health/ready');
  expect([away.status, JSON.parse(away.text)]).toEqual([
    503,
    { status: 'not ready', parts: { storage: 'ok', logs: 'the spool is full' } },
  ]);
  up = true;
  expect((await send(port, '/health/ready')).status).toBe(200);
});

test('a header of up to 32 KiB is taken, and a larger one is 431', async () => {
  await using server = await serve((app) => app.use((ctx) => (ctx.body = 'done')));
  const { port } = server.address;
  expect((await send(port, '/', { headers: { 'x-a': 'a'.repeat(31 * 1024) } })).status).toBe(200);
  expect((await send(port, '/', { headers: { 'x-a': 'a'.repeat(33 * 1024) } })).status).toBe(431);
  expect((await send(port, '/')).status).toBe(200);
});
