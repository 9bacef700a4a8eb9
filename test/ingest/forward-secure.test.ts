import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { decodeMulti } from '@msgpack/msgpack';
import { expect, onTestFinished, test, vi } from 'vitest';
import {
  openForwardListener,
  openForwardTlsListener,
  openForwardUnixListener,
} from '../../ingest/listeners/forward.ts';
import { FakeSpool } from '../support/fake-spool.ts';
import { pack } from '../support/forward.ts';
import { client, closed, type Extra, listenerOptions } from '../support/listeners.ts';
import { quiet } from '../support/log.ts';
import { documentsOf } from '../support/rendering.ts';

const certificates = resolve(import.meta.dirname, '../support/certificates');
const files = { cert: join(certificates, 'server.pem'), key: join(certificates, 'server.key') };
const listen = { host: '127.0.0.1', port: 0 };
const sharedKey = 'a key of both';
const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 5 });
const message = (text: string): Buffer => pack(['tag', 1_700_000_000, { log: text }, { chunk: text }]);

const withKey = (spool: FakeSpool, extra: Extra = {}) =>
  openForwardListener({ listen, sharedKey, ...listenerOptions(spool, extra) });

const textsOf = async (spool: FakeSpool): Promise<unknown[]> =>
  (await documentsOf(spool.blocks)).map(({ message: text }) => text);

/** What a socket got so far, and how much of it was said when. */
function answersOf(socket: Socket): () => unknown[] {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => [...decodeMulti(Buffer.concat(chunks))];
}

/** The PING of a client, for the HELO that it got. */
function ping(helo: unknown, key: string): Buffer {
  if (!Array.isArray(helo) || helo[0] !== 'HELO') throw new Error('no HELO came');
  const options: unknown = helo[1];
  const nonce = typeof options === 'object' && options !== null && 'nonce' in options ? options.nonce : undefined;
  if (!(nonce instanceof Uint8Array)) throw new Error('the HELO has no nonce');
  const salt = Buffer.alloc(16, 7);
  return pack(['PING', 'sender', salt, hash(salt, 'sender', nonce, key), '', '']);
}

const hash = (salt: Uint8Array, name: string, nonce: Uint8Array, key: string): string =>
  createHash('sha512').update(salt).update(name).update(nonce).update(key).digest('hex');

test('who has the shared key is told that this end has it too, and what it sends is kept and answered', async () => {
  const spool = new FakeSpool();
  await using listener = await withKey(spool);
  const socket = await client(listener);
  const answers = answersOf(socket);
  await until(() => expect(answers()).toHaveLength(1));
  const [helo] = answers();
  expect(helo).toEqual([
    'HELO',
    {
      nonce: expect.any(Uint8Array),
      auth: expect.toSatisfy((auth) => auth instanceof Uint8Array && auth.length === 0),
      keepalive: true,
    },
  ]);
  const bytes = Buffer.concat([ping(helo, sharedKey), message('one')]);
  // It may come in pieces, and with what follows it.
  for (const part of [bytes.subarray(0, 5), bytes.subarray(5)]) {
    socket.write(part);
    await new Promise((later) => setTimeout(later, 20));
  }
  await until(() => expect(answers()).toHaveLength(3));
  const [, pong, ack] = answers();
  const nonce = Reflect.get(Reflect.get(Object(helo), 1), 'nonce');
  expect(pong).toEqual(['PONG', true, '', 'shiplog', hash(Buffer.alloc(16, 7), 'shiplog', nonce, sharedKey)]);
  expect(ack).toEqual({ ack: 'one' });
  expect(await textsOf(spool)).toEqual(['one']);
  socket.destroy();
});

test.each<[who: string, says: (helo: unknown) => Buffer, reason: string, answer: unknown]>([
  [
    'has another key',
    (helo) => ping(helo, 'another'),
    'another than ingest.forward.shared_key',
    ['PONG', false, 'shared_key mismatch', '', ''],
  ],
  ['begins with events', () => message('x'), 'it has no shared_key', undefined],
  ['sends no msgpack', () => Buffer.from([0xc1]), 'it has no shared_key', undefined],
  ['sends a PING without end', () => Buffer.from('96a450494e47db00100000', 'hex'), 'handshake', undefined],
  ['sends a PING of nothing', () => pack(['PING', 1, 2, 3]), 'is none of the forward protocol', undefined],
])('who %s is refused, and nothing of it is kept', async (who, says, reason, answer) => {
  const spool = new FakeSpool();
  const warn = vi.fn();
  await using listener = await withKey(spool, { log: { ...quiet, warn } });
  const socket = await client(listener);
  const answers = answersOf(socket);
  await until(() => expect(answers()).toHaveLength(1));
  const [helo] = answers();
  socket.write(Buffer.concat([says(helo), message('y')]));
  if (who.includes('without end')) socket.write(Buffer.alloc(32 * 1024));
  await closed(socket);
  expect(answers().slice(1)).toEqual(answer === undefined ? [] : [answer]);
  expect(listener.counters).toMatchObject({ accepted: 0, refused: 1 });
  expect(spool.blocks).toEqual([]);
  expect(warn.mock.calls[0]?.[0]).toEqual({
    listener: 'forward',
    address: '127.0.0.1',
    reason: expect.stringContaining(reason),
  });
});

test('a proof that was heard does not hold for another connection', async () => {
  const spool = new FakeSpool();
  await using listener = await withKey(spool);
  const [one, other] = [await client(listener), await client(listener)];
  const answers = [answersOf(one), answersOf(other)] as const;
  await until(() => expect([...answers[0](), ...answers[1]()]).toHaveLength(2));
  other.write(ping(answers[0]()[0], sharedKey));
  await closed(other);
  expect(listener.counters).toMatchObject({ refused: 1 });
  one.destroy();
});

test('who says nothing is let go without a complaint: so fluentd sees whether someone listens', async () => {
  const spool = new FakeSpool();
  const warn = vi.fn();
  await using listener = await withKey(spool, { log: { ...quiet, warn } });
  for (const leave of [(socket: Socket) => socket.end(), (socket: Socket) => socket.resetAndDestroy()]) {
    const socket = await client(listener);
    socket.resume();
    leave(socket);
    await closed(socket);
  }
  await until(() => expect(listener.counters).toMatchObject({ accepted: 2, connections: 0 }));
  expect(warn).not.toHaveBeenCalled();
});

test('over TLS it is kept and answered, also for one that has said all; the key is asked for there too', async () => {
  const spool = new FakeSpool();
  await using listener = await openForwardTlsListener({ listen, files, sharedKey, ...listenerOptions(spool) });
  const ca = await readFile(join(certificates, 'ca.pem'));
  const socket = connectTls({ ...listener.address, ca });
  onTestFinished(() => void socket.destroy());
  const answers = answersOf(socket);
  await until(() => expect(answers()).toHaveLength(1));
  spool.fill();
  socket.end(Buffer.concat([ping(answers()[0], sharedKey), message('one')]));
  await until(() => expect(answers()).toHaveLength(2));
  spool.empty();
  await until(() => expect(answers().at(-1)).toEqual({ ack: 'one' }));
  await closed(socket);
  expect(await textsOf(spool)).toEqual(['one']);
  expect(spool.blocks[0]?.source).toMatchObject({ listener: 'forward-tls', peer: { address: '127.0.0.1' } });
  await until(() => expect(listener.counters).toMatchObject({ accepted: 1, connections: 0 }));
});

test('on a unix socket it is kept and answered, also for one that has said all; it is of this machine', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-forward-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'socket');
  const spool = new FakeSpool();
  await using _listener = await openForwardUnixListener({ ...listenerOptions(spool), path });
  const socket = connect({ path, allowHalfOpen: true });
  await once(socket, 'connect');
  const answers = answersOf(socket);
  socket.end(message('one'));
  await until(() => expect(answers()).toEqual([{ ack: 'one' }]));
  await closed(socket);
  expect(await textsOf(spool)).toEqual(['one']);
  expect(spool.blocks[0]?.source).toMatchObject({ listener: 'forward-unix', machine: expect.any(String) });
});
