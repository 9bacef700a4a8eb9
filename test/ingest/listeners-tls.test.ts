import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect as connectPlain } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { openTlsListener, type TlsListener, type TlsListenerOptions } from '../../ingest/listeners/tls.ts';
import { FakeSpool } from '../support/fake-spool.ts';
import { client, closed, type Extra, listenerOptions } from '../support/listeners.ts';
import { quiet } from '../support/log.ts';

const certificates = resolve(import.meta.dirname, '../support/certificates');
const pem = (name: string): Promise<Buffer> => readFile(join(certificates, name));
const files = { cert: join(certificates, 'server.pem'), key: join(certificates, 'server.key') };
const clientCa = join(certificates, 'ca.pem');

let folder: string;
let ca: Buffer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shiplog-tls-'));
  ca = await pem('ca.pem');
});
afterAll(() => rm(folder, { recursive: true }));

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 5 });

function tls(spool: FakeSpool, extra: Extra & Partial<TlsListenerOptions> = {}): Promise<TlsListener> {
  return openTlsListener({
    listen: { host: '127.0.0.1', port: 0 },
    files,
    ...listenerOptions(spool, extra),
    ...(extra.files && { files: extra.files }),
  });
}

/** A client whose handshake may still fail. */
function begin(listener: TlsListener, options: ConnectionOptions = {}): TLSSocket {
  const socket = connect({ ...listener.address, ca, ...options });
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}

async function secure(listener: TlsListener, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = begin(listener, options);
  await once(socket, 'secureConnect');
  return socket;
}

test.each([
  ['LF', '<1>a\n<1>b\n'],
  ['octet counting', '4 <1>a4 <1>b'],
])('lines that come over TLS are in the spool, framed by %s', async (_, text) => {
  const spool = new FakeSpool();
  await using listener = await tls(spool);
  const socket = await secure(listener);
  socket.write(text);
  await until(() => expect(spool.frames).toEqual(['<1>a', '<1>b']));
  expect(spool.blocks[0]?.source).toMatchObject({
    listener: 'syslog-tls',
    peer: { address: '127.0.0.1' },
    cluster: 'here',
  });
  expect(spool.blocks[0]?.source.peer?.port).toBe(socket.localPort);
  socket.end('<1>last\n');
  await until(() => expect(listener.counters).toMatchObject({ accepted: 1, connections: 0 }));
  expect(spool.frames.at(-1)).toBe('<1>last');
});

test('with client_ca only who has a certificate that it signed is taken', async () => {
  const spool = new FakeSpool();
  const warn = vi.fn();
  await using listener = await tls(spool, { files: { ...files, clientCa }, log: { ...quiet, warn } });
  const [cert, key] = [await pem('stranger.pem'), await pem('stranger.key')];
  for (const options of [{}, { cert, key }]) {
    const socket = begin(listener, options);
    // With TLS 1.3 a client hears of it only after its own handshake.
    socket.on('secureConnect', () => socket.write('<1>from a stranger\n'));
    await closed(socket);
  }
  const known = await secure(listener, { cert: await pem('client.pem'), key: await pem('client.key') });
  known.write('<1>known\n');
  await until(() => expect(spool.frames).toEqual(['<1>known']));
  await until(() => expect(listener.counters).toMatchObject({ accepted: 1, refused: 2 }));
  const told = { listener: 'syslog-tls', address: '127.0.0.1' };
  expect(warn.mock.calls.map(([fields]) => fields)).toEqual([
    { ...told, reason: expect.stringContaining('peer did not return a certificate') },
    { ...told, reason: expect.stringContaining('client_ca did not sign') },
  ]);
});

test('what is no handshake is refused at once, what says nothing after its time, and both are told by the reason', async () => {
  const spool = new FakeSpool();
  const warn = vi.fn();
  await using listener = await tls(spool, { handshakeTimeout: 30, log: { ...quiet, warn } });
  const plain = await client(listener);
  plain.write('<1>not encrypted\n');
  await closed(plain);
  const silent = await client(listener);
  await closed(silent);
  await until(() => expect(listener.counters).toMatchObject({ accepted: 0, refused: 2, connections: 0 }));
  expect(spool.blocks).toEqual([]);
  expect(warn).toHaveBeenCalledTimes(2);
});

test('clients that are gone as soon as they are secured leave nothing behind that the end would wait for', async () => {
  const spool = new FakeSpool();
  const listener = await tls(spool);
  for (let round = 0; round < 20; round += 1) {
    // What the server sends after the handshake is unread, so that its end is a reset.
    const sockets = Array.from({ length: 10 }, () => begin(listener));
    for (const socket of sockets) socket.once('secureConnect', () => socket.destroy());
    await Promise.all(sockets.map(closed));
  }
  await until(() => {
    const { accepted = 0, refused = 0, connections } = listener.counters;
    expect([accepted + refused, connections]).toEqual([200, 0]);
  });
  await listener.drain(0);
});

test('of too many handshakes the one that took the longest is reset, and a good one still succeeds', async () => {
  const spool = new FakeSpool();
  await using listener = await tls(spool, { maxGreetings: 3 });
  const half = [];
  for (let opened = 0; opened < 6; opened += 1) half.push(await client(listener));
  await Promise.all(half.slice(0, 3).map(closed));
  const socket = await secure(listener);
  socket.write('<1>good\n');
  await until(() => expect(spool.frames).toEqual(['<1>good']));
  expect(half.slice(4).map(({ closed }) => closed)).toEqual([false, false]);
  for (const socket of half) socket.destroy();
});

test.concurrent('at its end a TLS connection is read, committed and reset', async () => {
  const spool = new FakeSpool();
  const listener = await tls(spool);
  const socket = await secure(listener);
  const failed = once(socket, 'error').catch((error: unknown) => [error]);
  socket.write('<1>before\n');
  await until(() => expect(spool.frames).toEqual(['<1>before']));
  const half = await client(listener);
  const drained = listener.drain(5000);
  socket.write('<1>while it drains\n');
  await drained;
  await closed(half);
  expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
  expect(spool.frames).toEqual(['<1>before', '<1>while it drains']);
});

async function useCertificate(name: string): Promise<{ cert: string; key: string }> {
  const used = { cert: join(folder, 'used.pem'), key: join(folder, 'used.key') };
  await copyFile(join(certificates, `${name}.pem`), used.cert);
  await copyFile(join(certificates, `${name}.key`), used.key);
  return used;
}

const nameOf = (socket: TLSSocket): unknown => socket.getPeerCertificate().subject.CN;

test('a certificate that is replaced is in use without a word, and connections that are there go on', async () => {
  const spool = new FakeSpool();
  await using listener = await tls(spool, { files: await useCertificate('server'), lookEvery: 10 });
  const old = await secure(listener);
  expect(nameOf(old)).toBe('server');
  await useCertificate('renewed');
  await vi.waitFor(async () => expect(nameOf(await secure(listener))).toBe('renewed'), { timeout: 20_000 });
  old.write('<1>old\n');
  await until(() => expect(spool.frames).toEqual(['<1>old']));
});

test('a certificate that cannot be used leaves the old one in use, and is told once', async () => {
  const error = vi.fn();
  const used = await useCertificate('server');
  await using listener = await tls(new FakeSpool(), { files: used, log: { ...quiet, error } });
  await writeFile(used.key, 'no key');
  await listener.reload();
  await listener.reload();
  expect(error.mock.calls).toEqual([
    [
      { listener: 'syslog-tls', reason: expect.stringContaining(used.key) },
      expect.stringContaining('the old one stays'),
    ],
  ]);
  expect(nameOf(await secure(listener))).toBe('server');
  await useCertificate('renewed');
  await listener.reload();
  expect(nameOf(await secure(listener))).toBe('renewed');
});

test.each([
  ['cert', { cert: '/none' }],
  ['cert', { cert: join(certificates, 'server.key') }],
  ['key', { key: join(certificates, 'renewed.key') }],
  ['clientCa', { clientCa: join(certificates, 'client.key') }],
])('files that cannot be used end the start with the name of the one: %s %j', async (part, wrong) => {
  await expect(tls(new FakeSpool(), { files: { ...files, clientCa, ...wrong } })).rejects.toMatchObject({
    name: 'CertificateError',
    part,
  });
});

test('a proxy says before the handshake for whom it connects', async () => {
  const spool = new FakeSpool();
  await using listener = await tls(spool, { isProxy: (address) => address === '127.0.0.1' });
  // The header and the handshake's first bytes in one write, and then in pieces.
  for (const port of [1, 2]) {
    const raw = connectPlain(listener.address.port, '127.0.0.1');
    raw.on('error', () => undefined);
    await once(raw, 'connect');
    raw.cork();
    raw.write(`PROXY TCP4 10.9.8.7 127.0.0.1 ${port} 6514\r\n`);
    if (port === 2) raw.uncork();
    const socket = connect({ socket: raw, ca, host: '127.0.0.1' });
    if (port === 1) setImmediate(() => raw.uncork());
    await once(socket, 'secureConnect');
    socket.end(`<1>${port}\n`);
    await closed(socket);
  }
  await until(() => expect(spool.frames).toEqual(['<1>1', '<1>2']));
  expect(spool.blocks.map(({ source }) => source.peer)).toEqual([
    { address: '10.9.8.7', port: 1 },
    { address: '10.9.8.7', port: 2 },
  ]);
});
