import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { openPipeline, type Pipeline } from '../../ingest/pipeline.ts';
import type { ArrivalPage } from '../../ingest/query/arrivals.ts';
import type { Histogram } from '../../ingest/query/histogram.ts';
import type { SearchPage } from '../../ingest/query/search.ts';
import { type Sink, SinkError } from '../../ingest/sinks/sink.ts';
import { block, lines, MemorySink, silent, source } from '../support/spool.ts';

class WholeSink extends MemorySink implements Sink {
  readonly name = 'embedded';
  readonly possibleDuplicates = 0;
  ended = false;

  async search(): Promise<SearchPage> {
    await Promise.resolve();
    return { records: [] };
  }

  async histogram(): Promise<Histogram> {
    await Promise.resolve();
    return { counts: [], values: [] };
  }

  async arrivals(): Promise<ArrivalPage> {
    await Promise.resolve();
    return { records: [], cut: false };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve();
    this.ended = true;
  }
}

async function folder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'shiplog-pipeline-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

const anyPort = { host: '127.0.0.1', port: 0 };

function open(
  data: string,
  sink: Sink,
  syslog: { tcp?: typeof anyPort; udp?: typeof anyPort } = {},
): Promise<Pipeline> {
  return openPipeline({
    data,
    listeners: {
      ...syslog,
      maxFrame: 1 << 20,
      allows: () => true,
      isProxy: () => false,
      maxConnections: 100,
      maxConnectionsPerSource: 100,
    },
    maxSpoolSize: 1 << 30,
    whenSpoolFull: 'block',
    clusterOf: () => undefined,
    renderer: lines,
    sink,
    shutdownGrace: 5000,
    log: silent,
  });
}

const away = (): never => {
  throw new SinkError('unavailable', 'away');
};

test('what listeners and callers bring reaches the sink, and the ledgers say so', async () => {
  await using data = await folder();
  const sink = new WholeSink();
  await using pipeline = await open(data.path, sink, { tcp: anyPort, udp: anyPort });
  const { tcp, udp } = pipeline.addresses;
  await pipeline.accept(block(source('http'), 'by call\n'));
  const socket = connect(tcp ?? anyPort);
  socket.write('by tcp\n');
  const datagrams = createSocket('udp4');
  datagrams.send('by udp\n', udp?.port ?? 0, '127.0.0.1');
  await vi.waitFor(() => expect(sink.found.size).toBe(3), 20_000);
  socket.destroy();
  datagrams.close();
  expect(sink.messages.map((message) => message.slice(-6)).toSorted()).toEqual(
    ['y call', 'by tcp', 'by udp'].toSorted(),
  );
  await vi.waitFor(
    () => expect(pipeline.status().totals).toMatchObject({ indexedRecords: 3, readRecords: 3, unreadBytes: 0 }),
    20_000,
  );
});

test('at its end all that a connection sent is delivered, then the connection is reset, and the sink ended last', async () => {
  await using data = await folder();
  const sink = new WholeSink();
  const pipeline = await open(data.path, sink, { tcp: anyPort });
  const socket = connect(pipeline.addresses.tcp ?? anyPort);
  await once(socket, 'connect');
  const reset = new Promise((resolve) => socket.once('error', resolve));
  for (let n = 0; n < 500; n += 1) socket.write(`line ${n}\n`);
  sink.judge = () => {
    expect(sink.ended).toBe(false);
    return undefined;
  };
  await pipeline[Symbol.asyncDispose]();
  expect(await reset).toMatchObject({ code: 'ECONNRESET' });
  expect(sink.messages).toEqual(Array.from({ length: 500 }, (_, n) => `line ${n}`));
  expect(sink.ended).toBe(true);
  expect(await readdir(join(data.path, 'spool'))).toEqual(['ledger.db']);
  await expect(pipeline.accept(block(source('a'), 'late\n'))).rejects.toMatchObject({ code: 'closed' });
});

test('what a sink that is away did not take is delivered by the next life, once', async () => {
  await using data = await folder();
  const sink = new WholeSink();
  sink.judge = away;
  {
    await using pipeline = await open(data.path, sink);
    for (let n = 0; n < 20; n += 1) await pipeline.accept(block(source('a'), `${n}\n`));
    await vi.waitFor(
      () => expect(pipeline.status().trouble).toMatchObject({ code: 'unavailable', reason: 'away' }),
      20_000,
    );
  }
  expect(sink.found.size).toBe(0);
  sink.judge = () => undefined;
  await using pipeline = await open(data.path, sink);
  await vi.waitFor(() => expect(pipeline.status().totals.indexedRecords).toBe(20), 20_000);
  expect(sink.messages).toEqual(Array.from({ length: 20 }, (_, n) => String(n)));
  expect(pipeline.status().trouble).toBeUndefined();
});

test('while a sink is away, what was read is in flight, and the lag grows', async () => {
  await using data = await folder();
  const sink = new WholeSink();
  sink.judge = away;
  await using pipeline = await open(data.path, sink);
  const arrivedAt = (Date.now() - 60_000) * 1000;
  await pipeline.accept({ ...block(source('a'), 'one\ntwo\n'), arrivedAt });
  await vi.waitFor(() => expect(pipeline.status().totals.inFlightRecords).toBe(2), 20_000);
  const { totals, lag } = pipeline.status();
  expect(totals).toMatchObject({ readRecords: 2, indexedRecords: 0 });
  expect(lag).toBeGreaterThanOrEqual(60_000);
  sink.judge = () => undefined;
  await vi.waitFor(() => expect(pipeline.status().totals.inFlightRecords).toBe(0), 20_000);
  expect(pipeline.status()).toMatchObject({ lag: 0, totals: { readRecords: 2, indexedRecords: 2 } });
});

test('what an ended life left counts in the lag while it waits for its turn, and what is in quarantine is measured', async () => {
  await using data = await folder();
  const sink = new WholeSink();
  sink.judge = away;
  const secondsAgo = (seconds: number): number => (Date.now() - seconds * 1000) * 1000;
  // The one that is delivered first has the younger record.
  for (const [name, seconds] of [
    ['20200101T000000-000000000001', 60],
    ['20200101T000000-000000000002', 120],
  ] as const) {
    const pipeline = await open(data.path, sink);
    await pipeline.accept({ ...block(source('a'), 'one\n'), arrivedAt: secondsAgo(seconds) });
    await vi.waitFor(() => expect(pipeline.status().trouble).toBeDefined(), 20_000);
    await pipeline[Symbol.asyncDispose]();
    const [directory = ''] = (await readdir(join(data.path, 'spool'))).filter(
      (found) => /^\d{8}T/.test(found) && !found.startsWith('2020'),
    );
    await rename(join(data.path, 'spool', directory), join(data.path, 'spool', name));
  }
  await using pipeline = await open(data.path, sink);
  await vi.waitFor(() => expect(pipeline.status().totals.inFlightRecords).toBe(1), 20_000);
  expect(pipeline.status().lag).toBeGreaterThanOrEqual(120_000);
  expect(await pipeline.quarantineSize()).toBe(0);
  await mkdir(join(data.path, 'spool', 'quarantine'));
  await writeFile(join(data.path, 'spool', 'quarantine', 'some'), 'damaged');
  expect(await pipeline.quarantineSize()).toBe(7);
  sink.judge = () => undefined;
  await vi.waitFor(() => expect(pipeline.status()).toMatchObject({ lag: 0, totals: { indexedRecords: 2 } }), 20_000);
});

test('what was rejected can be sent again once the sink would take it, beside what comes', async () => {
  await using data = await folder();
  const sink = new WholeSink();
  sink.judge = (message) => (message.startsWith('bad') ? { status: 'rejected', reason: 'a wrong mapping' } : undefined);
  await using pipeline = await open(data.path, sink);
  await pipeline.accept(block(source('a'), 'good\nbad 1\nbad 2\n'));
  await vi.waitFor(() => expect(pipeline.status().totals.deadLetteredRecords).toBe(2), 20_000);
  const letters = await Array.fromAsync(pipeline.deadLetters.read());
  expect(letters.map(({ document }) => document)).toEqual(['"bad 1"', '"bad 2"']);
  sink.judge = () => undefined;
  await pipeline.accept(block(source('a'), 'more\n'));
  const { signal } = new AbortController();
  expect(await pipeline.deadLetters.replay(undefined, signal)).toEqual({ taken: 2, kept: 0 });
  await vi.waitFor(() => expect(sink.found.size).toBe(4), 20_000);
  expect(await Array.fromAsync(pipeline.deadLetters.read())).toEqual([]);
  expect(pipeline.status().deadLetters).toEqual({ added: 2, removed: 2, dropped: 0, bytes: 0 });
});

test('a listener that cannot be bound ends what was opened before it', async () => {
  await using data = await folder();
  const taken = await open(data.path, new WholeSink(), { tcp: anyPort });
  const sink = new WholeSink();
  await expect(open(data.path, sink, { tcp: taken.addresses.tcp ?? anyPort })).rejects.toMatchObject({
    listener: 'tcp',
    cause: { code: 'EADDRINUSE' },
  });
  expect(sink.ended).toBe(true);
  await taken[Symbol.asyncDispose]();
  expect(await readdir(join(data.path, 'spool'))).toEqual(['ledger.db']);
});
