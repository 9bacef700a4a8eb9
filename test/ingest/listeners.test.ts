import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, type Mock, onTestFinished, test, vi } from 'vitest';
import { overhead } from '../../ingest/listeners/budget.ts';
import type { NetworkListener } from '../../ingest/listeners/listener.ts';
import { SpoolError } from '../../ingest/spool/errors.ts';
import { FakeSpool } from '../support/fake-spool.ts';
import { fault, FaultyFileSystem } from '../support/faulty-fs.ts';
import { client, closed, tcp, udp } from '../support/listeners.ts';
import { quiet } from '../support/log.ts';
import { drain, Machine, MemorySink, shipper } from '../support/spool.ts';

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 5 });

/** A spool that commits nothing until `commit` is called. */
function stalledSpool(): { spool: FakeSpool; asked: Mock; commit: () => void } {
  const spool = new FakeSpool();
  const committing = Promise.withResolvers<void>();
  const append = spool.append.bind(spool);
  const asked = vi.spyOn(spool, 'append').mockImplementation(async (block) => {
    await committing.promise;
    await append(block);
  });
  return { spool, asked, commit: committing.resolve };
}

test('lines of a connection are in the spool in order, with who sent them', async () => {
  const spool = new FakeSpool();
  await using listener = await tcp(spool);
  const socket = await client(listener);
  socket.write('<1>a\n<1>b\n<1>c');
  socket.end();
  await until(() => expect(spool.frames).toEqual(['<1>a', '<1>b', '<1>c']));
  expect(spool.blocks.at(-1)?.flags).toEqual({ unterminated: true });
  expect(spool.blocks[0]?.source).toEqual({
    listener: 'syslog-tcp',
    connection: expect.stringMatching(/^[0-9a-f]{32}$/),
    peer: { address: '127.0.0.1', port: expect.any(Number) },
    cluster: 'here',
  });
  // The spool keeps how it encoded a source by its identity.
  expect(spool.blocks.at(-1)?.source).toBe(spool.blocks[0]?.source);
  await until(() => expect(listener.counters['connections']).toBe(0));
});

test('blocks that came in one read are whole, whichever is committed first', async () => {
  const spool = new FakeSpool();
  await using listener = await tcp(spool, { maxFrame: 100 });
  const socket = await client(listener);
  const long = `<1>${'x'.repeat(90)}${'y'.repeat(90)}`;
  socket.end(`<1>a\n${long}\n<1>b\n`);
  await until(() => expect(listener.counters['connections']).toBe(0));
  expect(spool.frames).toEqual(['<1>a', long.slice(0, 100), long.slice(100), '<1>b']);
});

test('what a reset connection sent before is kept', async () => {
  const spool = new FakeSpool();
  await using listener = await tcp(spool);
  const socket = await client(listener);
  socket.write('<1>whole\n<1>part');
  await until(() => expect(spool.frames).toEqual(['<1>whole']));
  socket.resetAndDestroy();
  await until(() => expect(spool.frames).toEqual(['<1>whole', '<1>part']));
});

test('while the spool is full a connection is not read, and afterwards nothing is missing and all is in order', async () => {
  const spool = new FakeSpool();
  await using listener = await tcp(spool, { window: 100_000 });
  const socket = await client(listener);
  const lines = Array.from({ length: 20_000 }, (_, index) => `<1>line ${index} ${'x'.repeat(800)}`);
  socket.write(`${lines[0]}\n`);
  await until(() => expect(spool.frames).toHaveLength(1));
  spool.fill();
  socket.end(`${lines.slice(1).join('\n')}\n`);
  await until(() => expect(listener.counters['bytes']).toBeGreaterThan(1000));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(listener.counters['bytes']).toBeLessThan(1_000_000);
  spool.empty();
  await until(() => expect(listener.counters['connections']).toBe(0));
  expect(spool.frames).toEqual(lines);
});

/** Twelve lines, of which a full spool refuses all but the first; they come in pieces of their own. */
async function sendIntoFull(listener: NetworkListener, spool: FakeSpool): Promise<{ socket: Socket; lines: string[] }> {
  const socket = await client(listener);
  const lines = Array.from({ length: 12 }, (_, index) => `<1>line ${index}`);
  for (const [index, line] of lines.entries()) {
    socket.write(`${line}\n`);
    if (index === 0) {
      await until(() => expect(spool.frames).toHaveLength(1));
      spool.fill();
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { socket, lines };
}

test('what was read of a connection that is reset while the spool is full is kept', async () => {
  const spool = new FakeSpool();
  await using listener = await tcp(spool);
  const { socket, lines } = await sendIntoFull(listener, spool);
  socket.resetAndDestroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  spool.empty();
  await until(() => expect(listener.counters['connections']).toBe(0));
  expect(spool.frames).toEqual(lines);
  expect(listener.counters).toMatchObject({ bytes: lines.join(' ').length + 1, lostBytes: 0 });
});

test.concurrent('a spool that stays full does not hold up the end, and each byte that was read and is lost is counted', async () => {
  const spool = new FakeSpool();
  const listener = await tcp(spool);
  const { socket, lines } = await sendIntoFull(listener, spool);
  const drained = listener.drain(10);
  const late = '<1>after the grace\n';
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.write(late);
  await drained;
  expect(spool.frames).toEqual(lines.slice(0, 1));
  expect(listener.counters['lostBytes']).toBe(lines.slice(1).join(' ').length + 1 + late.length);
});

test.concurrent('on drain all that was sent is in the spool, and then the connection is reset', async () => {
  const spool = new FakeSpool();
  const listener = await tcp(spool);
  const socket = await client(listener);
  const failed = closed(socket);
  let code: unknown;
  socket.on('error', (error) => {
    code = 'code' in error ? error.code : undefined;
  });
  socket.write('<1>before\n');
  await until(() => expect(spool.frames).toEqual(['<1>before']));
  const drained = listener.drain(5000);
  socket.write('<1>while it drains\n');
  await drained;
  await failed;
  expect(code).toBe('ECONNRESET');
  expect(spool.frames).toEqual(['<1>before', '<1>while it drains']);
  await expect(client(listener)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('more connections than allowed are reset, counted and told once', async () => {
  const warn = vi.fn();
  await using listener = await tcp(new FakeSpool(), { maxConnections: 1, log: { ...quiet, warn } });
  await client(listener);
  for (let more = 0; more < 2; more += 1) {
    const socket = connect(listener.address.port, listener.address.host);
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: 'ECONNRESET' });
  }
  expect(listener.counters).toMatchObject({ accepted: 1, refused: 2 });
  expect(warn).toHaveBeenCalledOnce();
});

test.each([
  ['a connection', { window: 200_000 }, 1, 400_000],
  ['all connections together', { windowBudget: 500_000 }, 10, 2_000_000],
])('what %s may have uncommitted is bounded, and all is kept in the end', async (_, bounds, connections, most) => {
  const { spool, commit } = stalledSpool();
  await using listener = await tcp(spool, bounds);
  const line = `<1>${'x'.repeat(999)}`;
  const sockets = await Promise.all(Array.from({ length: connections }, () => client(listener)));
  for (const socket of sockets) socket.end(`${line}\n`.repeat(1000));
  await until(() => expect(listener.counters['bytes']).toBeGreaterThan(200_000));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(listener.counters['bytes']).toBeLessThan(most);
  commit();
  await until(() => expect(listener.counters['connections']).toBe(0));
  expect(spool.frames).toHaveLength(connections * 1000);
  expect(new Set(spool.frames)).toEqual(new Set([line]));
});

test('nothing overtakes a refused block, in whatever order refusals come, or how the connection ends', async () => {
  const spool = new FakeSpool();
  const append = spool.append.bind(spool);
  const asked: { readonly text: string; readonly refuse: () => void }[] = [];
  vi.spyOn(spool, 'append').mockImplementation((block) => {
    const { promise, reject } = Promise.withResolvers<void>();
    const text = Buffer.from(block.payload).toString();
    asked.push({ text, refuse: () => reject(new SpoolError('full', 'full')) });
    return asked.length > 2 ? append(block) : promise;
  });
  await using listener = await tcp(spool);
  const socket = await client(listener);
  socket.write('<1>a\n');
  await until(() => expect(asked).toHaveLength(1));
  socket.write('<1>b\n<1>c');
  await until(() => expect(asked).toHaveLength(2));
  asked[1]?.refuse();
  socket.resetAndDestroy();
  await new Promise((resolve) => setTimeout(resolve, 20));
  asked[0]?.refuse();
  await until(() => expect(listener.counters['connections']).toBe(0));
  expect(asked.map(({ text }) => text)).toEqual(['<1>a\n', '<1>b\n', '<1>a\n', '<1>b\n', '<1>c']);
  expect(spool.frames).toEqual(['<1>a', '<1>b', '<1>c']);
});

test('when commits fail now and then, all lines of a connection are in the spool once, in order', async () => {
  // The spool waits a second after a failure; this clock goes faster.
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const disk = new FaultyFileSystem();
  let syncs = 0;
  disk.before(async ({ op, path }) => {
    if (op !== 'datasync' || !path.endsWith('.segment')) return undefined;
    syncs += 1;
    // One failure is mended by the spool itself; a second one in a row is told. Four: the next attempt is refused too.
    const fails = [4, 5, 8, 9, 10, 11, 16, 17].includes(syncs);
    // Meanwhile more comes, and is refused behind it.
    await new Promise((resolve) => setTimeout(resolve, 2));
    return fails ? fault('EIO', op, path) : undefined;
  });
  const spool = await new Machine().open(disk, { segmentSize: 1 << 16 });
  const append = vi.spyOn(spool, 'append');
  const listener = await tcp(spool);
  const socket = await client(listener);
  const lines = Array.from({ length: 2000 }, (_, index) => `<1>line ${index}`);
  for (const [index, line] of lines.entries()) {
    socket.write(`${line}\n`);
    await new Promise(setImmediate);
    if (index % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    vi.advanceTimersByTime(20);
  }
  socket.end();
  await until(() => {
    vi.advanceTimersByTime(500);
    expect(listener.counters).toMatchObject({ accepted: 1, connections: 0, lostBytes: 0 });
  });
  expect(syncs).toBeGreaterThan(17);
  const outcomes = await Promise.allSettled(append.mock.results.map(({ value }) => value));
  expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(3);
  await listener.drain(0);
  const sink = new MemorySink();
  await drain(spool, shipper(sink));
  await spool[Symbol.asyncDispose]();
  expect(sink.messages).toEqual(lines);
});

test('a silent connection is reset', async () => {
  await using listener = await tcp(new FakeSpool(), { silence: 20 });
  const socket = await client(listener);
  await closed(socket);
  await until(() => expect(listener.counters['connections']).toBe(0));
});

test('10 MB without an LF are cut at the bound, and 1,000 unfinished lines stay under their budget', async () => {
  const spool = new FakeSpool();
  await using listener = await tcp(spool, { restBudget: 100_000 });
  const long = await client(listener);
  long.end('x'.repeat(10_000_000));
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => client(listener)));
  for (const socket of sockets) socket.write('y'.repeat(1000));
  await until(() => expect(listener.counters['bytes']).toBe(11_000_000));
  await until(() => expect(spool.frames.join('').replaceAll('y', '')).toHaveLength(10_000_000));
  const cut = spool.frames.filter((frame) => frame.startsWith('y')).length;
  expect(cut).toBeGreaterThan(890);
  for (const socket of sockets) socket.end('\n');
  await until(() => expect(spool.frames.join('').replaceAll('x', '')).toHaveLength(1_000_000));
});

test('datagrams of one sender are kept whole, each a frame', async () => {
  const spool = new FakeSpool();
  await using listener = await udp(spool);
  const socket = createSocket('udp4');
  const messages = ['<1>a\nb', '<1>c', '', '<1>d\n'];
  for (const message of messages) socket.send(message, listener.address.port, '127.0.0.1');
  await until(() => expect(spool.frames).toEqual(messages));
  socket.close();
  expect(new Set(spool.blocks.map(({ source }) => source.connection)).size).toBe(1);
  expect(spool.blocks[0]).toMatchObject({ kind: 'datagrams', source: { listener: 'syslog-udp', cluster: 'here' } });
});

test('datagrams that find the spool full, or too much waiting, are dropped and counted', async () => {
  const spool = new FakeSpool();
  await using listener = await udp(spool, { window: overhead + 5 });
  const socket = createSocket('udp4');
  socket.send('<1>too long', listener.address.port, '127.0.0.1');
  await until(() => expect(listener.counters).toMatchObject({ droppedDatagrams: 1, droppedBytes: 11 }));
  spool.fill();
  socket.send('<1>a', listener.address.port, '127.0.0.1');
  await until(() => expect(listener.counters).toMatchObject({ droppedDatagrams: 2, droppedBytes: 15 }));
  socket.close();
  expect(spool.blocks).toEqual([]);
});

test('chunks of one byte that wait for a commit fill the bounds by what they cost in memory, not by their bytes', async () => {
  const { spool, asked, commit } = stalledSpool();
  await using listener = await tcp(spool, { window: 4 * overhead, windowBudget: 10 * overhead });
  const sockets = await Promise.all(Array.from({ length: 5 }, () => client(listener)));
  for (let round = 0; round < 30; round += 1) {
    for (const socket of sockets) socket.write('\n');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  // The one that goes beyond a bound is read, and one more of each connection with it.
  expect(asked.mock.calls.length).toBeLessThanOrEqual(15);
  const heavy = await client(listener);
  heavy.write('x\n');
  commit();
  await until(() => expect(listener.counters).toMatchObject({ bytes: 152 }));
  await until(() => expect(spool.frames).toHaveLength(151));
});

test('datagrams of one byte that wait for a commit fill the window by what they cost in memory', async () => {
  const { spool, commit } = stalledSpool();
  await using listener = await udp(spool, { window: 10 * (overhead + 1) });
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  for (let sent = 1; sent <= 30; sent += 1) {
    socket.send('x', listener.address.port, '127.0.0.1');
    await until(() => expect(listener.counters['datagrams']).toBe(sent));
  }
  expect(listener.counters).toMatchObject({ droppedDatagrams: 20 });
  commit();
  await until(() => expect(spool.frames).toHaveLength(10));
  socket.send('x', listener.address.port, '127.0.0.1');
  await until(() => expect(spool.frames).toHaveLength(11));
});

test('a sender is one source, and the window is free again after each commit', async () => {
  const spool = new FakeSpool();
  await using listener = await udp(spool, { window: overhead + 10 });
  const socket = createSocket('udp4');
  for (let sent = 1; sent <= 5; sent += 1) {
    socket.send(`<1>a ${sent}`, listener.address.port, '127.0.0.1');
    await until(() => expect(spool.frames).toHaveLength(sent));
  }
  socket.close();
  expect(new Set(spool.blocks.map(({ source }) => source)).size).toBe(1);
  expect(listener.counters).toMatchObject({ datagrams: 5, droppedDatagrams: 0 });
});

test('the end of a UDP listener waits until what it took is committed', async () => {
  const { spool, asked, commit } = stalledSpool();
  const listener = await udp(spool);
  const socket = createSocket('udp4');
  socket.send('<1>a', listener.address.port, '127.0.0.1');
  await until(() => expect(asked).toHaveBeenCalledOnce());
  socket.close();
  const drained = listener.drain(0);
  setTimeout(commit, 30);
  await drained;
  expect(spool.frames).toEqual(['<1>a']);
});
