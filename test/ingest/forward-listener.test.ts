import { once } from 'node:events';
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { decodeMulti } from '@msgpack/msgpack';
import * as fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ForwardProtocol, openForwardListener } from '../../ingest/listeners/forward.ts';
import type { NetworkListener } from '../../ingest/listeners/listener.ts';
import type { Block } from '../../ingest/block.ts';
import { endsOfEvents, joinEvents, readForwardMessage } from '../../ingest/parse/forward-message.ts';
import { SpoolError } from '../../ingest/spool/errors.ts';
import { BoundedMap } from '../../ingest/parse/bounded-map.ts';
import { Budget } from '../../ingest/listeners/budget.ts';
import { FakeSpool } from '../support/fake-spool.ts';
import { array, eventTime, pack } from '../support/forward.ts';
import { client, closed, type Extra, listenerOptions } from '../support/listeners.ts';
import { documentsOf } from '../support/rendering.ts';

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 5 });

function forward(spool: FakeSpool, extra: Extra = {}): Promise<NetworkListener> {
  return openForwardListener({ listen: { host: '127.0.0.1', port: 0 }, ...listenerOptions(spool, extra) });
}

/** The answers that a socket got so far. */
function answersOf(socket: Socket): () => unknown[] {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => [...decodeMulti(Buffer.concat(chunks))];
}

/** The texts that blocks hold. */
const textsOf = async (blocks: readonly Block[]): Promise<unknown[]> =>
  (await documentsOf(blocks)).map(({ message }) => message);

const now = Date.now();
const event = (text: string): unknown[] => [eventTime(now), { log: text }];
const packed = (...texts: string[]): Buffer => Buffer.concat(texts.map((text) => pack(event(text))));

test.each<[mode: string, message: unknown]>([
  ['Message', ['tag', ...event('one'), { chunk: 'c' }]],
  ['Forward', ['tag', [event('one'), event('two')], { chunk: 'c', size: 2 }]],
  ['PackedForward', ['tag', packed('one', 'two'), { chunk: 'c', size: 2 }]],
  ['CompressedPackedForward', ['tag', gzipSync(packed('one', 'two')), { chunk: 'c', compressed: 'gzip' }]],
  [
    'gzip of several members',
    ['tag', Buffer.concat([gzipSync(packed('one')), gzipSync(packed('two'))]), { chunk: 'c', compressed: 'gzip' }],
  ],
])('what comes in the mode %s is kept, and then answered', async (mode, message) => {
  const spool = new FakeSpool();
  await using listener = await forward(spool);
  const socket = await client(listener);
  const answers = answersOf(socket);
  spool.fill();
  socket.write(pack(message));
  await until(() => expect(listener.counters['bytes']).toBeGreaterThan(0));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(answers()).toEqual([]);
  spool.empty();
  await until(() => expect(answers()).toEqual([{ ack: 'c' }]));
  expect(await textsOf(spool.blocks)).toEqual(mode === 'Message' ? ['one'] : ['one', 'two']);
  expect(spool.blocks[0]).toMatchObject({
    kind: 'forward',
    source: { listener: 'forward', peer: { address: '127.0.0.1' }, cluster: 'here' },
  });
  socket.destroy();
});

test('whatever the chunks that they come in: messages are kept in order, and answered in order', async () => {
  const messages = fc.array(
    fc.record({
      tag: fc.constantFrom('a', 'b'),
      texts: fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 4 }),
      ack: fc.boolean(),
    }),
    { maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(messages, fc.infiniteStream(fc.integer({ min: 1, max: 60 })), async (sent, steps) => {
      const spool = new FakeSpool();
      await using listener = await forward(spool);
      const socket = await client(listener);
      const answers = answersOf(socket);
      const bytes = Buffer.concat(
        sent.map(({ tag, texts, ack }, n) => pack([tag, packed(...texts), ack ? { chunk: `c${n}` } : {}])),
      );
      for (let at = 0; at < bytes.length;) {
        const step = steps.next().value ?? 1;
        socket.write(bytes.subarray(at, at + step));
        at += step;
        if (step % 3 === 0) await new Promise(setImmediate);
      }
      socket.end();
      await once(socket, 'close');
      const expected = sent.flatMap(({ texts }) => texts);
      const found = await textsOf(spool.blocks);
      expect(found).toHaveLength(expected.length);
      const documents = await documentsOf(spool.blocks);
      expect(documents.map(({ fields }) => fields)).toMatchObject(
        sent.flatMap(({ tag, texts }) => texts.map(() => ({ tag }))),
      );
      expect(answers()).toEqual(sent.flatMap(({ ack }, n) => (ack ? [{ ack: `c${n}` }] : [])));
    }),
    { numRuns: 40 },
  );
});

test('messages of one tag that come together are one block', async () => {
  const spool = new FakeSpool();
  await using listener = await forward(spool);
  const socket = await client(listener);
  socket.end(Buffer.concat(['a', 'b', 'c'].map((text) => pack(['tag', ...event(text)]))));
  await closed(socket);
  expect(spool.blocks).toHaveLength(1);
  expect(await textsOf(spool.blocks)).toEqual(['a', 'b', 'c']);
});

test('a chunk that comes again, because its answer was lost, is answered and not kept twice; another of its name is kept', async () => {
  const spool = new FakeSpool();
  await using listener = await forward(spool);
  const send = async (text: string): Promise<unknown[]> => {
    const socket = await client(listener);
    const answers = answersOf(socket);
    socket.end(pack(['tag', packed(text), { chunk: 'same' }]));
    await once(socket, 'close');
    return answers();
  };
  for (const text of ['one', 'one', 'two', 'one']) expect(await send(text)).toEqual([{ ack: 'same' }]);
  expect(await textsOf(spool.blocks)).toEqual(['one', 'two']);
});

test('what the spool will never take is not answered, and is kept when it comes again', async () => {
  const spool = new FakeSpool();
  await using listener = await forward(spool);
  const socket = await client(listener);
  const answers = answersOf(socket);
  const message = pack(['tag', packed('one'), { chunk: 'c' }]);
  const append = vi.spyOn(spool, 'append').mockRejectedValue(new SpoolError('closed', 'closed'));
  socket.write(message);
  await until(() => expect(listener.counters['lostBytes']).toBeGreaterThan(0));
  append.mockRestore();
  socket.end(message);
  await once(socket, 'close');
  expect(answers()).toEqual([{ ack: 'c' }]);
  expect(await textsOf(spool.blocks)).toEqual(['one']);
});

test('nil is a heartbeat, and nothing is answered that is no message', async () => {
  const spool = new FakeSpool();
  await using listener = await forward(spool);
  const socket = await client(listener);
  const answers = answersOf(socket);
  const bad: unknown[] = [
    'text',
    {},
    [],
    ['tag'],
    ['tag', 1],
    [5, ...event('x')],
    ['tag', ...event('x'), { chunk: 5 }],
    ['tag', ...event('x'), { chunk: 'c'.repeat(2000) }],
    ['tag', ...event('x'), 'option'],
    ['tag', [['no', 'event', 'at all']], { chunk: 'c' }],
    ['tag', Buffer.from('no events'), { chunk: 'c' }],
    ['tag', Buffer.from('no gzip'), { chunk: 'c', compressed: 'gzip' }],
    ['tag', packed('x'), { chunk: 'c', compressed: 'zstd' }],
    ['tag', gzipSync(packed(...Array.from({ length: 12 }, () => 'x'.repeat(1024 * 1024)))), { compressed: 'gzip' }],
    ['tag', ...event('x'), {}, 'more'],
  ];
  socket.write(Buffer.concat([pack(null), ...bad.map((message) => pack(message)), pack(null)]));
  socket.write(pack(['tag', ...event('good'), { chunk: 'last' }]));
  await until(() => expect(answers()).toEqual([{ ack: 'last' }]));
  expect(listener.counters['badMessages']).toBe(bad.length);
  expect(await textsOf(spool.blocks)).toEqual(['good']);
  socket.destroy();
});

test.each([
  ['what is no msgpack', Buffer.from([0xc1])],
  ['what nests without end', Buffer.alloc(100, 0x91)],
  [
    'a message of more than 16 MiB',
    Buffer.concat([Buffer.from('93a174c6ffffffff', 'hex'), Buffer.alloc(17 * 1024 * 1024)]),
  ],
])('%s resets the connection; what came before it is kept, and answered', async (_, bytes) => {
  const spool = new FakeSpool();
  await using listener = await forward(spool);
  const socket = await client(listener);
  const answers = answersOf(socket);
  socket.write(pack(['tag', ...event('before'), { chunk: 'c' }]));
  await until(() => expect(answers()).toEqual([{ ack: 'c' }]));
  socket.write(bytes);
  await closed(socket);
  expect(listener.counters['refused']).toBe(1);
  expect(await textsOf(spool.blocks)).toEqual(['before']);
});

test('of too much that is unfinished at once the largest goes, and the others stay', async () => {
  const spool = new FakeSpool();
  await using listener = await forward(spool, { restBudget: 6_000_000 });
  const [small, large] = [await client(listener), await client(listener)];
  const answers = answersOf(small);
  const message = pack(['tag', packed('x'.repeat(1_000_000)), { chunk: 'small' }]);
  small.write(message.subarray(0, 900_000));
  const huge = pack(['tag', packed('y'.repeat(10_000_000)), {}]);
  large.write(huge.subarray(0, 9_000_000));
  await closed(large);
  small.write(message.subarray(900_000));
  await until(() => expect(answers()).toEqual([{ ack: 'small' }]));
  small.destroy();
});

test('where the largest waits for others and cannot be freed yet, the next one goes too', async () => {
  const spool = new FakeSpool();
  await using listener = await forward(spool, { restBudget: 8_000_000, windowBudget: 1000 });
  const [first, waiting, large] = [await client(listener), await client(listener), await client(listener)];
  spool.fill();
  const bytes = (count: number): Promise<void> => until(() => expect(listener.counters['bytes']).toBe(count));
  const small = pack(['tag', packed('x'.repeat(2000)), {}]);
  first.write(small);
  await bytes(small.length);
  const whole = pack(['tag', packed('y'.repeat(5_500_000)), {}]);
  waiting.write(whole);
  await bytes(small.length + whole.length);
  large.write(whole.subarray(0, 3_900_000));
  await closed(large);
  spool.empty();
});

test('of what a few KiB become by inflation only some is in memory until it is durable', async () => {
  const message = pack(['tag', gzipSync(packed('0'.repeat(1_000_000))), { chunk: 'c', compressed: 'gzip' }]);
  const context = {
    budget: new Budget(1 << 27),
    chunks: new BoundedMap<string, true>(10),
    onBadMessage: () => undefined,
  };
  const protocol = new ForwardProtocol('10.0.0.9', context);
  let [found, bytes] = [0, Buffer.concat(Array.from({ length: 40 }, () => message))];
  expect(bytes.length).toBeLessThan(65_536);
  for (let more = true; more; bytes = Buffer.alloc(0)) {
    const taken = await protocol.push(bytes);
    const length = taken.pieces.reduce((sum, { payload }) => sum + payload.length, 0);
    expect(length).toBeLessThan(8_000_000);
    found += length;
    taken.settled?.(false);
    more = taken.more === true;
  }
  expect(found).toBeGreaterThan(40_000_000);
});

test('who does not read the answers is reset', async () => {
  const spool = new FakeSpool();
  await using listener = await forward(spool);
  const socket = await client(listener);
  socket.pause();
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  let n = 0;
  const write = (): void => {
    if (stop.signal.aborted || socket.destroyed) return;
    const many = Array.from({ length: 50 }, () =>
      pack(['t', ...event('x'), { chunk: `${(n += 1)}${'c'.repeat(1000)}` }]),
    );
    socket.write(Buffer.concat(many), () => setImmediate(write));
  };
  write();
  await closed(socket);
  expect(listener.counters['refused']).toBe(1);
});

test('at the end connections are read until they are silent, and answered', async () => {
  const spool = new FakeSpool();
  const listener = await forward(spool);
  const socket = await client(listener);
  const answers = answersOf(socket);
  socket.write(pack(['tag', ...event('a'), { chunk: 'a' }]));
  await until(() => expect(answers()).toHaveLength(1));
  const drained = listener.drain(20_000);
  socket.write(pack(['tag', ...event('b'), { chunk: 'b' }]));
  await drained;
  await closed(socket);
  expect(answers()).toEqual([{ ack: 'a' }, { ack: 'b' }]);
  expect(await textsOf(spool.blocks)).toEqual(['a', 'b']);
});

test('a spool that stays full does not hold up the end, and what could not be kept is not answered', async () => {
  const spool = new FakeSpool();
  const listener = await forward(spool);
  const socket = await client(listener);
  const answers = answersOf(socket);
  spool.fill();
  socket.write(pack(['tag', ...event('a'), { chunk: 'a' }]));
  await until(() => expect(listener.counters['bytes']).toBeGreaterThan(0));
  await listener.drain(100);
  await closed(socket);
  expect(answers()).toEqual([]);
  expect(listener.counters['lostBytes']).toBeGreaterThan(0);
});

test('whatever the bytes, taking a message apart does not throw, and what it yields are events', () => {
  const good = fc.array(fc.jsonValue(), { maxLength: 4 }).map((value) => pack(['tag', ...value]));
  const events = fc.uint8Array({ maxLength: 40 }).map((bytes) => pack(['tag', bytes, {}]));
  const damaged = fc.tuple(fc.oneof(good, events), fc.nat(), fc.nat({ max: 255 })).map(([bytes, at, byte]) => {
    bytes[at % bytes.length] = byte;
    return bytes;
  });
  fc.assert(
    fc.property(fc.oneof(good, events, damaged, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      const message = readForwardMessage(bytes);
      const ends = message && endsOfEvents(message.events);
      if (message === undefined || ends === undefined) return;
      const { tag, events: all } = message;
      expect(joinEvents(tag, [{ events: all, ends }])).toHaveLength(4 + tag.length + all.length + 4 * ends.length);
    }),
    { numRuns: 3000 },
  );
  expect(readForwardMessage(array(pack('t'), pack(1), pack({})))).toMatchObject({ compressed: false });
});
