import { createSocket } from 'node:dgram';
import { deflateSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { openGelfTcpListener, openGelfUdpListener } from '../../ingest/listeners/gelf.ts';
import { GelfDatagrams } from '../../ingest/listeners/gelf-chunks.ts';
import type { NetworkListener } from '../../ingest/listeners/listener.ts';
import { NulProtocol } from '../../ingest/listeners/nul-protocol.ts';
import { FakeSpool, contents } from '../support/fake-spool.ts';
import { client, closed, listenerOptions } from '../support/listeners.ts';

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 5 });
const listen = { host: '127.0.0.1', port: 0 };
const mib = 1024 * 1024;

/** The chunks of a message as GELF has them. */
function chunksOf(message: Uint8Array, count: number, id = Buffer.from('12345678')): Buffer[] {
  const size = Math.ceil(message.length / count);
  return Array.from({ length: count }, (_, n) =>
    Buffer.concat([Buffer.from([0x1e, 0x0f]), id, Buffer.from([n, count]), message.subarray(n * size, (n + 1) * size)]),
  );
}

function sender(listener: NetworkListener): (datagram: Uint8Array) => Promise<void> {
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  return (datagram) =>
    new Promise((resolve, reject) => {
      const { port, host } = listener.address;
      socket.send(datagram, port, host, (error) => (error === null ? resolve() : reject(error)));
    });
}

test('datagrams are kept as messages: plain, by gzip or zlib, and joined from chunks in whatever order', async () => {
  const spool = new FakeSpool();
  await using listener = await openGelfUdpListener({ listen, ...listenerOptions(spool) });
  const send = sender(listener);
  await send(Buffer.from('{"short_message":"plain"}'));
  await send(gzipSync('{"short_message":"gzip"}'));
  await send(deflateSync('{"short_message":"zlib"}'));
  for (const chunk of chunksOf(gzipSync('{"short_message":"chunks"}'), 5).toReversed()) await send(chunk);
  await until(() => expect(spool.frames).toHaveLength(4));
  expect(spool.frames).toEqual(['plain', 'gzip', 'zlib', 'chunks'].map((text) => `{"short_message":"${text}"}`));
  expect(spool.blocks[0]).toMatchObject({
    kind: 'gelf',
    source: { listener: 'gelf-udp', peer: { address: '127.0.0.1' }, cluster: 'here' },
  });
  expect(listener.counters).toMatchObject({ datagrams: 8, chunks: 5, badDatagrams: 0 });
});

test('a spool that is full drops messages, and counts them', async () => {
  const spool = new FakeSpool();
  await using listener = await openGelfUdpListener({ listen, ...listenerOptions(spool) });
  spool.fill();
  await sender(listener)(Buffer.from('{}'));
  await until(() => expect(listener.counters['droppedDatagrams']).toBe(1));
});

test('chunks of two senders, or of two ids, make no message together; a chunk that comes twice counts once', () => {
  const datagrams = new GelfDatagrams(mib);
  const [one, two] = chunksOf(Buffer.from('{"a":1}'), 2);
  const [, other] = chunksOf(Buffer.from('{"b":2}'), 2, Buffer.from('abcdefgh'));
  expect(datagrams.take(one ?? Buffer.alloc(0), '10.0.0.1')).toBeUndefined();
  expect(datagrams.take(one ?? Buffer.alloc(0), '10.0.0.1')).toBeUndefined();
  expect(datagrams.take(two ?? Buffer.alloc(0), '10.0.0.2')).toBeUndefined();
  expect(datagrams.take(other ?? Buffer.alloc(0), '10.0.0.1')).toBeUndefined();
  expect(datagrams.take(two ?? Buffer.alloc(0), '10.0.0.1')?.toString()).toBe('{"a":1}');
});

test('a message whose chunks take more than 5 seconds is given up', () => {
  let now = 0;
  const datagrams = new GelfDatagrams(mib, () => now);
  const [one = Buffer.alloc(0), two = Buffer.alloc(0)] = chunksOf(Buffer.from('{"a":1}'), 2);
  datagrams.take(one, 'a');
  now = 5000;
  expect(datagrams.take(two, 'a')?.toString()).toBe('{"a":1}');
  datagrams.take(one, 'a');
  now = 10_001;
  expect(datagrams.take(two, 'a')).toBeUndefined();
  expect(datagrams.counters).toMatchObject({ unfinishedMessages: 1 });
});

test('chunks that wait for others take bounded memory, however many messages are begun: the oldest are given up', () => {
  const datagrams = new GelfDatagrams(mib, () => 0);
  const id = Buffer.alloc(8);
  for (let n = 0; n < 3000; n += 1) {
    id.writeUInt32BE(n);
    const [first = Buffer.alloc(0)] = chunksOf(Buffer.alloc(120_000, 1), 2, id);
    datagrams.take(first, 'a');
  }
  expect(datagrams.held).toBeLessThanOrEqual(16 * mib);
  for (let n = 0; n < 3000; n += 1) {
    id.writeUInt32BE(n);
    const [first = Buffer.alloc(0)] = chunksOf(Buffer.alloc(4, 1), 2, id);
    datagrams.take(first, 'b');
  }
  expect(datagrams.counters['unfinishedMessages']).toBeGreaterThanOrEqual(5000);
});

test('an address that begins many messages pushes out its own, not what another began', () => {
  const datagrams = new GelfDatagrams(mib, () => 0);
  const [one = Buffer.alloc(0), two = Buffer.alloc(0)] = chunksOf(Buffer.from('{"a":1}'), 2);
  datagrams.take(one, 'victim');
  const id = Buffer.alloc(8);
  for (const size of [2, 120_000]) {
    for (let n = 0; n < 3000; n += 1) {
      id.writeUInt32BE(n);
      const [first = Buffer.alloc(0)] = chunksOf(Buffer.alloc(size, 1), 2, id);
      datagrams.take(first, 'flood');
    }
  }
  expect(datagrams.take(two, 'victim')?.toString()).toBe('{"a":1}');
});

test.each<[string, Uint8Array]>([
  ['a chunk without content', Buffer.from('1e0f31323334353637380002', 'hex')],
  ['a chunk of none', Buffer.from('1e0f3132333435363738000041', 'hex')],
  ['a chunk beyond the last', Buffer.from('1e0f3132333435363738020241', 'hex')],
  ['one of more than 128 chunks', Buffer.from('1e0f3132333435363738008141', 'hex')],
  ['torn gzip', gzipSync('{"a":1}').subarray(0, 15)],
  ['torn zlib', deflateSync('{"a":1}').subarray(0, 8)],
  ['gzip that becomes more than a message may have', gzipSync(Buffer.alloc(2 * mib, 'a'))],
  ['gzip that becomes far larger than it came', gzipSync(Buffer.alloc(900_000, 'a'))],
  ['nothing', Buffer.alloc(0)],
  ['gzip of nothing', gzipSync('')],
])('%s is no message, and is counted', (_, datagram) => {
  const datagrams = new GelfDatagrams(mib);
  expect(datagrams.take(Buffer.from(datagram), 'a')).toBeUndefined();
  expect(datagrams.counters).toMatchObject({ badDatagrams: 1 });
  expect(datagrams.held).toBe(0);
});

test('whatever the datagrams, taking them does not throw', () => {
  const head = fc.constantFrom('1e0f', '1f8b', '789c', '7b', '');
  const datagram = fc.tuple(head, fc.uint8Array({ maxLength: 40 })).map(([mark, rest]) => {
    return Buffer.concat([Buffer.from(mark, 'hex'), rest]);
  });
  fc.assert(
    fc.property(fc.array(datagram, { maxLength: 50 }), (all) => {
      const datagrams = new GelfDatagrams(1000);
      for (const one of all) datagrams.take(one, 'a');
    }),
  );
});

test('messages over TCP end with NUL, or with the connection', async () => {
  const spool = new FakeSpool();
  await using listener = await openGelfTcpListener({ listen, ...listenerOptions(spool) });
  const socket = await client(listener);
  socket.write('{"a":1}\0{"b"');
  socket.write(':2}\0\0{"c":\n3}');
  socket.end();
  await closed(socket);
  expect(spool.frames).toEqual(['{"a":1}', '{"b":2}', '{"c":\n3}']);
  expect(spool.blocks.at(-1)).toMatchObject({
    kind: 'gelf',
    source: { listener: 'gelf-tcp' },
    flags: { unterminated: true },
  });
});

test('what is cut says so, and so does what goes on', () => {
  const protocol = new NulProtocol('gelf', 4);
  const { pieces } = protocol.push(Buffer.from('ab\0abcdefghij\0k\0'));
  expect(pieces.map((piece) => [contents(piece), piece.flags])).toEqual([
    [['ab'], {}],
    [['abcd'], { cut: true }],
    [['efgh'], { cut: true, continued: true }],
    [['ij'], { continued: true }],
    [['k'], {}],
  ]);
});

test('the messages of a stream are the same whatever the chunks that it comes in, also those that are cut', () => {
  const stream = fc
    .array(fc.constantFrom('\0', 'a', 'bcd', 'x'.repeat(11)), { maxLength: 40 })
    .map((all) => all.join(''));
  fc.assert(
    fc.property(stream, fc.infiniteStream(fc.integer({ min: 1, max: 12 })), (text, steps) => {
      const read = (step: () => number): string[] => {
        const protocol = new NulProtocol('gelf', 8);
        const bytes = Buffer.from(text);
        const found: string[] = [];
        const note = ({ pieces }: ReturnType<NulProtocol['push']>): void => {
          for (const piece of pieces) {
            const { cut, continued, unterminated } = piece.flags;
            const frames = contents(piece);
            found.push(
              ...frames.map((frame, n) => {
                const last = n === frames.length - 1;
                return `${continued === true && n === 0 ? '<' : ''}${frame}${cut === true && last ? '>' : ''}${unterminated === true ? '!' : ''}`;
              }),
            );
          }
        };
        for (let at = 0; at < bytes.length;) {
          const end = at + step();
          note(protocol.push(bytes.subarray(at, end)));
          at = end;
        }
        note(protocol.end());
        return found;
      };
      const whole = read(() => 1000);
      expect(read(() => steps.next().value ?? 1)).toEqual(whole);
      expect(whole.join('').replaceAll(/[<>!]/g, '')).toBe(text.replaceAll('\0', ''));
    }),
  );
});
