import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { link, lstat, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Listener } from '../../ingest/listeners/listener.ts';
import { openUnixListener } from '../../ingest/listeners/unix.ts';
import { FakeSpool } from '../support/fake-spool.ts';
import { client, closed, listenerOptions, tcp, udp } from '../support/listeners.ts';
import { quiet } from '../support/log.ts';

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 5 });
const isProxy = (address: string): boolean => address === '127.0.0.1';
const lineFrom = (address: string, port = 1): string => `PROXY TCP4 ${address} 127.0.0.1 ${port} 514\r\n`;

test('the peer is whom the proxy names, however the header and the lines are cut', async () => {
  const spool = new FakeSpool();
  await using listener = await tcp(spool, {
    isProxy,
    clusterOf: (address) => (address === '10.9.8.7' ? 'far' : 'near'),
  });
  const whole = await client(listener);
  whole.end(`${lineFrom('10.9.8.7', 4711)}<1>a\n<1>b\n`);
  await until(() => expect(spool.frames).toEqual(['<1>a', '<1>b']));
  const pieces = await client(listener);
  for (const byte of `${lineFrom('10.9.8.7', 4711)}<1>c\n`) {
    pieces.write(byte);
    await new Promise(setImmediate);
  }
  await until(() => expect(spool.frames).toEqual(['<1>a', '<1>b', '<1>c']));
  pieces.destroy();
  for (const { source } of spool.blocks) {
    expect(source).toMatchObject({ peer: { address: '10.9.8.7', port: 4711 }, cluster: 'far' });
  }
});

test('a proxy that speaks for itself, as for a check of health, is the peer', async () => {
  const spool = new FakeSpool();
  await using listener = await tcp(spool, { isProxy });
  for (const header of ['PROXY UNKNOWN\r\n', '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0']) {
    const socket = await client(listener);
    const { localPort: port } = socket;
    socket.end(Buffer.from(`${header}<1>a\n`, 'latin1'));
    await until(() => expect(spool.frames).toHaveLength(1));
    expect(spool.blocks.pop()?.source.peer).toEqual({ address: '127.0.0.1', port });
  }
});

test.each([
  ['no header', '<1>a line\n'],
  ['a header that is none', 'PROXY TCP4 10.9.8.7\r\n<1>a\n'],
  ['a header without an end', `PROXY TCP4 ${'1'.repeat(600)}`],
  ['a header of too many bytes', '\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff'],
  ['two headers', `${lineFrom('10.9.8.7')}${lineFrom('10.9.8.6')}<1>a\n`],
])('from a proxy %s is reset and told, and nothing of it is kept', async (_, text) => {
  const spool = new FakeSpool();
  const warn = vi.fn();
  await using listener = await tcp(spool, { isProxy, log: { ...quiet, warn } });
  const socket = await client(listener);
  socket.write(Buffer.from(text, 'latin1'));
  await closed(socket);
  await until(() => expect(listener.counters).toMatchObject({ refused: 1, connections: 0 }));
  expect(spool.blocks).toEqual([]);
  expect(warn).toHaveBeenCalledOnce();
});

test('a proxy that does not send its header in time is reset', async () => {
  await using listener = await tcp(new FakeSpool(), { isProxy, headerTimeout: 20 });
  const socket = await client(listener);
  socket.write('PROXY TCP4 10.');
  await closed(socket);
  await until(() => expect(listener.counters).toMatchObject({ accepted: 0, refused: 1 }));
});

test.each([
  ['version 1', lineFrom('10.9.8.7')],
  ['version 2', '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x09\x08\x07\x7f\0\0\x01\0\x01\0\x02'],
])(
  'whoever is no proxy cannot say for whom it sends: a header of %s is reset, and nothing is kept',
  async (_, header) => {
    const spool = new FakeSpool();
    const warn = vi.fn();
    await using listener = await tcp(spool, { log: { ...quiet, warn } });
    for (const chunks of [[`${header}<1>forged\n`], `${header}<1>forged\n`.split('')]) {
      const socket = await client(listener);
      for (const chunk of chunks) {
        socket.write(Buffer.from(chunk, 'latin1'));
        await new Promise(setImmediate);
      }
      await closed(socket);
    }
    await until(() => expect(listener.counters).toMatchObject({ refused: 2, connections: 0 }));
    expect(spool.blocks).toEqual([]);
    expect(warn.mock.calls[0]?.[0]).toMatchObject({ reason: expect.stringContaining('proxy_protocol') });
  },
);

test('an address that may not send is reset before a byte is read, whether it comes itself or by a proxy', async () => {
  const spool = new FakeSpool();
  const allows = (address: string): boolean => address === '10.9.8.7';
  await using direct = await tcp(spool, { allows });
  const socket = connect(direct.address.port, direct.address.host);
  expect(await once(socket, 'error').catch((error: unknown) => [error])).toMatchObject([{ code: 'ECONNRESET' }]);
  expect(direct.counters).toMatchObject({ accepted: 0, refused: 1, bytes: 0 });
  await using proxied = await tcp(spool, { allows, isProxy });
  for (const address of ['10.9.8.6', '10.9.8.7']) {
    const socket = await client(proxied);
    socket.end(`${lineFrom(address)}<1>${address}\n`);
    await closed(socket);
  }
  await until(() => expect(spool.frames).toEqual(['<1>10.9.8.7']));
  expect(proxied.counters).toMatchObject({ refused: 1 });
});

test('datagrams of an address that may not send are not kept, and counted', async () => {
  const spool = new FakeSpool();
  const warn = vi.fn();
  await using listener = await udp(spool, { allows: () => false, log: { ...quiet, warn } });
  const socket = createSocket('udp4');
  for (let sent = 0; sent < 3; sent += 1) socket.send('<1>a', listener.address.port, '127.0.0.1');
  await until(() => expect(listener.counters).toMatchObject({ refusedDatagrams: 3, datagrams: 0 }));
  socket.close();
  expect(spool.blocks).toEqual([]);
  expect(warn).toHaveBeenCalledOnce();
});

test('an address has its own bound of connections, which others do not feel, and a place is free once one has ended', async () => {
  const spool = new FakeSpool();
  await using listener = await tcp(spool, { isProxy, maxConnectionsPerSource: 2 });
  const from = async (address: string): Promise<Awaited<ReturnType<typeof client>>> => {
    const socket = await client(listener);
    socket.write(`${lineFrom(address)}<1>${address}\n`);
    return socket;
  };
  const first = await from('10.0.0.1');
  await from('10.0.0.1');
  await until(() => expect(spool.frames).toHaveLength(2));
  await closed(await from('10.0.0.1'));
  await from('10.0.0.2');
  await until(() => expect(spool.frames.at(-1)).toBe('<1>10.0.0.2'));
  first.destroy();
  await until(() => expect(listener.counters['connections']).toBe(2));
  await from('10.0.0.1');
  await until(() => expect(spool.frames).toEqual(['<1>10.0.0.1', '<1>10.0.0.1', '<1>10.0.0.2', '<1>10.0.0.1']));
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shiplog-unix-'));
});
afterAll(() => rm(folder, { recursive: true }));

const unix = (spool: FakeSpool, path: string): Promise<Listener> =>
  openUnixListener({ ...listenerOptions(spool), path });

test('lines that come over a unix socket are this machine’s; its file is for its group, and goes at the end', async () => {
  const spool = new FakeSpool();
  const path = join(folder, 'log');
  {
    await using _listener = await unix(spool, path);
    expect((await lstat(path)).mode & 0o777).toBe(0o660);
    const socket = connect(path);
    socket.end('<1>a\n');
    await until(() => expect(spool.frames).toEqual(['<1>a']));
    expect(spool.blocks[0]?.source).toEqual({
      listener: 'syslog-unix',
      connection: expect.stringMatching(/^[0-9a-f]{32}$/),
      machine: hostname(),
    });
  }
  expect(await readdir(folder)).toEqual([]);
});

test.concurrent('at its end what a unix socket brought is kept, and its next write fails', async () => {
  const spool = new FakeSpool();
  const path = join(folder, 'ending');
  const listener = await unix(spool, path);
  const socket = connect({ path, allowHalfOpen: true }).resume();
  socket.write('<1>a\n');
  await until(() => expect(spool.frames).toEqual(['<1>a']));
  await listener.drain(5000);
  const failed = once(socket, 'error').catch((error: unknown) => [error]);
  socket.write('<1>late\n');
  expect(await failed).toMatchObject([{ code: 'EPIPE' }]);
  expect(spool.frames).toEqual(['<1>a']);
});

test('a socket that nobody answers on is replaced; one that is in use, and what is no socket, are left alone', async () => {
  const path = join(folder, 'left');
  const other = createServer().listen(path);
  await once(other, 'listening');
  await expect(unix(new FakeSpool(), path)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  // A hard link outlives the end of the server that made it.
  const left = join(folder, 'dead');
  await link(path, left);
  other.close();
  await once(other, 'close');
  const spool = new FakeSpool();
  await using _listener = await unix(spool, left);
  connect(left).end('<1>a\n');
  await until(() => expect(spool.frames).toEqual(['<1>a']));
  const file = join(folder, 'file');
  await writeFile(file, 'precious');
  await expect(unix(new FakeSpool(), file)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await rm(file);
});
