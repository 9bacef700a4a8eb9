import { expect, test } from 'vitest';
import { Bulk } from '../../ingest/bulk.ts';
import { largestDelivery } from '../../ingest/render-queue.ts';
import { type Renderer, Shipper } from '../../ingest/shipper.ts';
import type { Outcome } from '../../ingest/sinks/sink.ts';
import { SinkError } from '../../ingest/sinks/sink.ts';
import type { FaultyFileSystem } from '../support/faulty-fs.ts';
import { random } from '../support/random.ts';
import { block, disk, drain, lines, Machine, MemorySink, shipLive, shipper, silent, source } from '../support/spool.ts';

async function filled(
  count: number,
): Promise<{ machine: Machine; fileSystem: FaultyFileSystem; spool: Awaited<ReturnType<Machine['open']>> }> {
  const fileSystem = await disk();
  const machine = new Machine();
  const spool = await machine.open(fileSystem);
  for (let n = 0; n < count; n += 1) await spool.append(block(source('a'), `${n}\n`));
  return { machine, fileSystem, spool };
}

test('what a sink rejects goes to the dead letters with its reason, and all else is delivered', async () => {
  const { spool } = await filled(10);
  const sink = new MemorySink();
  sink.judge = (message) => (message === '3' ? { status: 'rejected', reason: 'no date' } : undefined);
  await drain(spool, shipper(sink));
  expect(sink.messages).toEqual(['0', '1', '2', '4', '5', '6', '7', '8', '9']);
  expect(sink.letters).toEqual([{ id: expect.any(String), reason: 'no date', document: '"3"' }]);
  expect(spool.totals).toMatchObject({ readRecords: 10, indexedRecords: 9, deadLetteredRecords: 1 });
});

test('a record that is dead-lettered is not counted, and not passed, before the dead letters have it', async () => {
  const { spool } = await filled(1);
  const sink = new MemorySink();
  sink.judge = () => ({ status: 'rejected', reason: 'never' });
  let refusals = 3;
  const add = sink.add;
  sink.add = async (letters) => {
    expect(spool.totals.readRecords).toBe(0);
    if ((refusals -= 1) >= 0) throw new Error('the disk is full');
    await add(letters);
  };
  await drain(spool, shipper(sink));
  expect(sink.letters).toHaveLength(1);
  expect(spool.totals).toMatchObject({ readRecords: 1, deadLetteredRecords: 1 });
});

test('a block that is delivered in parts is settled as a whole, and what was delivered of it is not counted twice', async () => {
  const { spool } = await filled(1);
  await spool.append(block(source('a'), 'a\nb\nc\nd\ne\n'));
  await spool.append(block(source('a'), '1\n'));
  const sink = new MemorySink();
  const ended = new AbortController();
  sink.judge = (message) => {
    if (message !== 'e' || ended.signal.aborted) return undefined;
    ended.abort();
    throw new SinkError('unavailable', 'away');
  };
  await shipper(sink).ship(spool.live, ended.signal);
  expect(sink.messages).toEqual(['0', 'a', 'b', 'c', 'd']);
  expect(spool.totals).toMatchObject({ readBytes: 2, readRecords: 1, indexedRecords: 1 });
  await drain(spool, shipper(sink));
  expect(sink.messages).toEqual(['0', 'a', 'b', 'c', 'd', 'e', '1']);
  expect(spool.totals).toMatchObject({ readBytes: 14, readRecords: 7, indexedRecords: 7 });
});

test('items that a sink cannot take now are sent again, alone, until it takes them', async () => {
  const { spool } = await filled(20);
  const sink = new MemorySink();
  const asked = new Map<string, number>();
  sink.judge = (message) => {
    const times = (asked.get(message) ?? 0) + 1;
    asked.set(message, times);
    return Number(message) % 5 === 0 && times < 4 ? { status: 'retry', reason: '429' } : undefined;
  };
  await drain(spool, shipper(sink));
  expect(sink.found.size).toBe(20);
  expect([asked.get('5'), asked.get('6')]).toEqual([4, 1]);
});

test.each(['unavailable', 'refused'] as const)(
  'while a sink is %s, nothing is dropped, and its reason is told',
  async (code) => {
    const { spool } = await filled(5);
    const sink = new MemorySink();
    const ship = shipper(sink);
    let failures = 10;
    sink.judge = () => {
      if ((failures -= 1) < 0) return undefined;
      if (failures < 9) expect(ship.trouble).toMatchObject({ code, reason: 'because' });
      throw new SinkError(code, 'because');
    };
    await drain(spool, ship);
    expect(sink.messages).toEqual(['0', '1', '2', '3', '4']);
    expect(ship.trouble).toBeUndefined();
  },
);

test('a sink that takes no item is in trouble since its first refusal, and that is told once', async () => {
  const { spool } = await filled(3);
  const sink = new MemorySink();
  const told: string[] = [];
  const tell = (_: object, message: string): void => void told.push(message);
  const ship = new Shipper({
    renderer: lines,
    sink,
    deadLetters: sink,
    log: { info: tell, warn: tell, error: tell },
    backoff: [1, 2],
  });
  const since = new Set<number | undefined>();
  let attempts = 0;
  sink.judge = () => {
    if (attempts > 0) since.add(ship.trouble?.since);
    return (attempts += 1) > 30 ? undefined : { status: 'retry', reason: '429' };
  };
  await drain(spool, ship);
  expect(sink.found.size).toBe(3);
  expect([...since].filter((at) => at !== undefined)).toHaveLength(1);
  expect(told).toEqual([
    'the log sink takes no records at the moment; they wait in the spool',
    'the log sink takes records again',
  ]);
});

/** Counts as a whole delivery. */
class HeavyBulk extends Bulk {
  override readonly size = largestDelivery;
}

/** Documents that make a delivery by themselves, so that several are under way at once. */
const heavy: Renderer = {
  open(unfinished) {
    const rendering = lines.open(unfinished);
    return {
      ...rendering,
      async *documents(block, at, signal) {
        for await (const { pieces, records, oldest } of rendering.documents(block, at, signal)) {
          yield new HeavyBulk(pieces, records, oldest);
        }
      },
    };
  },
};

test.each([
  ['small', lines, 1],
  ['so large that several deliveries are under way', heavy, 2],
])(
  'over random failures, kills and restarts each record is settled once, and the ledgers agree: %s',
  async (_, renderer, least) => {
    let most = 0;
    for (let seed = 0; seed < 15; seed += 1) {
      const draw = random(seed);
      const machine = new Machine();
      const sink = new MemorySink();
      const rejected = new Set<string>();
      const shippers: Shipper[] = [];
      const newShipper = (): Shipper => {
        const made = new Shipper({ renderer, sink, deadLetters: sink, log: silent, backoff: [1, 2] });
        shippers.push(made);
        return made;
      };
      sink.judge = (message): Outcome | undefined => {
        most = Math.max(most, ...shippers.map(({ counts }) => counts.underWay));
        if (draw.chance(0.05)) throw new SinkError('unavailable', 'away');
        if (Number(message) % 17 === 0) {
          rejected.add(message);
          return { status: 'rejected', reason: 'seventeen' };
        }
        return draw.chance(0.1) ? { status: 'retry', reason: '429' } : undefined;
      };
      let fileSystem = await disk(seed);
      const acknowledged: string[] = [];
      let number = 0;
      for (let life = 0; life < 4; life += 1) {
        const spool = await machine.open(fileSystem, { segmentSize: 500 });
        const ship = newShipper();
        const live = shipLive(spool.live, ship);
        const orphans = (async () => {
          for (const journal of await spool.adopt(new AbortController().signal)) {
            await ship.ship(journal, new AbortController().signal);
            await spool.retire(journal);
          }
        })().catch(() => undefined);
        for (let n = draw.int(60); n > 0; n -= 1) {
          const text = String((number += 1));
          await spool.append(block(source('a'), `${text}\n`));
          acknowledged.push(text);
        }
        if (draw.chance(0.5)) await orphans;
        const crashed = draw.chance(0.5) ? fileSystem.crash() : fileSystem.kill();
        fileSystem = crashed;
        machine.processDied();
        await live.stop();
        await orphans;
      }
      const spool = await machine.open(fileSystem);
      await drain(spool, newShipper());
      const messages = sink.messages.map(Number).toSorted((a, b) => a - b);
      expect(messages, `seed ${seed}`).toEqual(acknowledged.filter((text) => !rejected.has(text)).map(Number));
      expect(new Set(sink.letters.map(({ document }) => JSON.parse(document)))).toEqual(rejected);
      const {
        readRecords,
        indexedRecords,
        deadLetteredRecords,
        unreadBytes,
        committedBytes,
        readBytes,
        quarantinedBytes,
      } = spool.totals;
      expect({ indexedRecords, deadLetteredRecords, readRecords, unreadBytes }, `seed ${seed}`).toEqual({
        indexedRecords: messages.length,
        deadLetteredRecords: rejected.size,
        readRecords: acknowledged.length,
        unreadBytes: 0,
      });
      expect(committedBytes).toBe(readBytes + quarantinedBytes);
      await spool[Symbol.asyncDispose]();
    }
    expect(most).toBeGreaterThanOrEqual(least);
  },
);
