import { expect, test, vi } from 'vitest';
import { createRenderer } from '../../ingest/parse/documents.ts';
import { Shipper } from '../../ingest/shipper.ts';
import { SinkError } from '../../ingest/sinks/sink.ts';
import { random } from '../support/random.ts';
import { block, disk, drain, Machine, MemorySink, shipLive, silent, source } from '../support/spool.ts';

const piece = 16_384;

/** A shipper that reads lines as they are, and is not patient. */
const shipperTo = (sink: MemorySink, patience = 5): Shipper =>
  new Shipper({
    renderer: createRenderer({
      clusters: { fallback: 'default', reserved: new Set() },
      dataset: 'docker',
      namespace: 'main',
      lookup: async () => undefined,
      log: silent,
    }),
    sink,
    deadLetters: sink,
    log: silent,
    backoff: [1, 2],
    patience,
  });

const pieceOf = (container: string, text: string): string =>
  `<30>1 2026-11-24T12:00:00Z node ${container} 912 ${container} - ${text}\n`;

/** A line in the pieces that Docker sends. */
function piecesOf(container: string, line: string): string[] {
  const count = Math.max(1, Math.ceil(line.length / piece));
  return Array.from({ length: count }, (_, n) => pieceOf(container, line.slice(n * piece, (n + 1) * piece)));
}

test('a line of just one piece arrives though nothing follows, and what comes later is another', async () => {
  const spool = await new Machine().open(await disk(), { segmentSize: 1 << 20 });
  const sink = new MemorySink();
  const live = shipLive(spool.live, shipperTo(sink));
  const [first, second] = ['a'.repeat(piece), 'b'.repeat(2 * piece)];
  await spool.append(block(source('a'), pieceOf('web', first)));
  await vi.waitFor(() => expect(sink.messages).toEqual([first]), { timeout: 20_000 });
  for (const text of piecesOf('web', second)) await spool.append(block(source('a'), text));
  await vi.waitFor(() => expect(sink.messages).toEqual([first, second]), { timeout: 20_000 });
  await spool.append(block(source('a'), pieceOf('web', 'c')));
  await vi.waitFor(() => expect(sink.messages).toEqual([first, second, 'c']), { timeout: 20_000 });
  // What was marked needs no other mark: nothing is written while nothing comes.
  const { committedBytes } = spool.totals;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(spool.totals.committedBytes).toBe(committedBytes);
  await live.stop();
  await spool[Symbol.asyncDispose]();
});

test('lines that wait for their rest are counted, with what their pieces count as, as long as they are read', async () => {
  const spool = await new Machine().open(await disk(), { segmentSize: 1 << 20 });
  const sink = new MemorySink();
  const ship = shipperTo(sink, 60_000);
  const live = shipLive(spool.live, ship);
  await spool.append(block(source('a'), pieceOf('web', 'a'.repeat(piece)) + pieceOf('db', 'b'.repeat(piece))));
  await vi.waitFor(() => expect(ship.held).toEqual({ lines: 2, bytes: 2 * piece }), { timeout: 20_000 });
  await spool.append(block(source('a'), pieceOf('web', 'c')));
  await vi.waitFor(() => expect(ship.held).toEqual({ lines: 1, bytes: piece }), { timeout: 20_000 });
  await live.stop();
  expect(ship.held).toEqual({ lines: 0, bytes: 0 });
  await spool[Symbol.asyncDispose]();
});

test('a sink that is away costs one mark, not one more each time that someone looks', async () => {
  const spool = await new Machine().open(await disk(), { segmentSize: 1 << 20 });
  const sink = new MemorySink();
  sink.judge = () => {
    throw new SinkError('unavailable', 'away');
  };
  const mark = vi.spyOn(spool.live, 'mark');
  await spool.append(block(source('b'), pieceOf('web', 'a'.repeat(piece))));
  // More than what may wait to be delivered, so that the reader stops behind them.
  for (let n = 0; n < 40; n += 1) await spool.append(block(source('a'), `<30>x: ${'x'.repeat(900_000)}\n`));
  const live = shipLive(spool.live, shipperTo(sink, 2));
  await vi.waitFor(() => expect(mark).toHaveBeenCalled(), { timeout: 20_000 });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(mark).toHaveBeenCalledOnce();
  sink.judge = () => undefined;
  await vi.waitFor(() => expect(sink.messages).toContain('a'.repeat(piece)), { timeout: 20_000 });
  await live.stop();
  await spool[Symbol.asyncDispose]();
});

test('whatever fails, ends and starts again: each long line is one record, once, and the ledgers agree', async () => {
  for (let seed = 0; seed < 12; seed += 1) {
    const draw = random(seed);
    const machine = new Machine();
    const sink = new MemorySink();
    sink.judge = () => {
      if (draw.chance(0.05)) throw new SinkError('unavailable', 'away');
      return draw.chance(0.1) ? { status: 'retry', reason: '429' } : undefined;
    };
    let fileSystem = await disk(seed);
    const sent: string[] = [];
    for (let life = 0; life < 4; life += 1) {
      const spool = await machine.open(fileSystem, { segmentSize: 60_000 });
      const ship = shipperTo(sink, 10_000);
      const live = shipLive(spool.live, ship);
      const orphans = (async () => {
        for (const journal of await spool.adopt(new AbortController().signal)) {
          await ship.ship(journal, new AbortController().signal);
          await spool.retire(journal);
        }
      })().catch(() => undefined);
      // Three containers at once, whose pieces interleave; so there is hardly a place at which no line is under way.
      await Promise.all(
        ['web', 'db', 'cron'].map(async (container) => {
          for (let n = draw.int(8); n > 0; n -= 1) {
            const length = draw.int(4) * piece + 20 + draw.int(2000);
            const line = `${seed} ${life} ${container} ${n} `.padEnd(length, 'é');
            const bytes = Buffer.from(line.slice(0, length));
            const text = bytes.length % piece === 0 ? `${String(bytes)}.` : String(bytes);
            const all = Buffer.from(text);
            for (let at = 0; at < all.length; at += piece) {
              const head = Buffer.from(pieceOf(container, '').slice(0, -1));
              const payload = Buffer.concat([head, all.subarray(at, at + piece), Buffer.from('\n')]);
              await spool.append({ ...block(source(container), ''), payload });
            }
            sent.push(text);
          }
        }),
      );
      if (draw.chance(0.5)) await orphans;
      const next = draw.chance(0.5) ? fileSystem.crash() : fileSystem.kill();
      fileSystem = next;
      machine.processDied();
      await live.stop();
      await orphans;
    }
    const spool = await machine.open(fileSystem);
    await drain(spool, shipperTo(sink));
    expect(sink.messages.toSorted(), `seed ${seed}`).toEqual(sent.toSorted());
    const { readRecords, indexedRecords, unreadBytes, committedBytes, readBytes, quarantinedBytes } = spool.totals;
    expect({ readRecords, indexedRecords, unreadBytes }, `seed ${seed}`).toEqual({
      readRecords: sent.length,
      indexedRecords: sent.length,
      unreadBytes: 0,
    });
    expect(committedBytes).toBe(readBytes + quarantinedBytes);
    await spool[Symbol.asyncDispose]();
  }
});
