import { afterEach, expect, test, vi } from 'vitest';
import { FillWatch } from '../../ingest/spool/fill-watch.ts';
import { openSpool, type Spool } from '../../ingest/spool/spool.ts';
import { fault, type FaultyFileSystem } from '../support/faulty-fs.ts';
import { block, disk, drain, Machine, MemorySink, shipper, silent, source } from '../support/spool.ts';

afterEach(() => void vi.useRealTimers());

/** Each line fills a segment of its own. */
const line = (number: number): string => `${String(number).padStart(3, '0')}${'x'.repeat(1000)}`;
const numberOf = (text: string): number => Number(text.slice(0, 3));

function open(machine: Machine, fileSystem: FaultyFileSystem, log = silent): Promise<Spool> {
  return openSpool({
    directory: '/data/spool',
    fileSystem,
    maxSize: 10_000,
    segmentSize: 1000,
    whenFull: 'drop-oldest',
    takeLock: machine.takeLock,
    past: machine.past,
    log,
  });
}

async function append(spool: Spool, first: number, last: number): Promise<void> {
  for (let number = first; number <= last; number += 1) {
    await spool.untilWritable(AbortSignal.timeout(20_000));
    await spool.append(block(source('a'), `${line(number)}\n`));
  }
}

/** What was committed became of one kind or another, and what was dropped is counted. */
function expectBalance(spool: Spool, appended: number, found: number): void {
  const { totals } = spool;
  const bytes = line(0).length + 1;
  expect(totals).toMatchObject({
    committedBytes: appended * bytes,
    readBytes: found * bytes,
    droppedBytes: (appended - found) * bytes,
    unreadBytes: 0,
    indexedRecords: found,
    droppedRecords: appended - found,
    readRecords: appended,
  });
}

test('a full spool that drops the oldest takes all that comes, keeps the newest, and counts what it dropped', async () => {
  const warn = vi.fn();
  const machine = new Machine();
  const spool = await open(machine, await disk(), { ...silent, warn });
  await append(spool, 0, 39);
  await vi.waitFor(() => expect(spool.size).toBeLessThanOrEqual(9000), 20_000);
  expect(warn.mock.calls.map(([, message]) => message)).toContain(
    'the spool is full: what has waited longest was dropped',
  );
  const sink = new MemorySink();
  await drain(spool, shipper(sink));
  const found = sink.messages.map(numberOf);
  expect(found.length).toBeGreaterThan(5);
  expect(found).toEqual(Array.from(found, (_, index) => 40 - found.length + index));
  expectBalance(spool, 40, found.length);
  await spool[Symbol.asyncDispose]();
  expect(machine.past.total).toMatchObject({ droppedRecords: 40 - found.length, indexedRecords: found.length });
});

test('no reader gets to what is dropped, and nothing is dropped that one got to', async () => {
  const machine = new Machine();
  const spool = await open(machine, await disk());
  const reading = spool.live.read(new AbortController().signal);
  const read: number[] = [];
  const readOn = async (): Promise<boolean> => {
    const { value, done } = await reading.next();
    if (done === true || value.kind !== 'block') return false;
    read.push(numberOf(Buffer.from(value.block.payload).toString()));
    // All but the last are delivered.
    spool.live.advance(value.at, [], {});
    await spool.live.save();
    return true;
  };
  await append(spool, 0, 0);
  await readOn();
  for (let number = 1; number < 60; number += 1) {
    // Reads are under way while segments are dropped.
    const reads = number % 7 === 0 ? readOn() : undefined;
    await append(spool, number, number);
    await reads;
  }
  await vi.waitFor(() => expect(spool.size).toBeLessThanOrEqual(9000), 20_000);
  await spool.close();
  while (await readOn());
  expect(read).toEqual([...new Set(read)].toSorted((a, b) => a - b));
  expect(read.slice(0, 2)).toEqual([0, 1]);
  expect(read.at(-1)).toBe(59);
  expect(read.length + spool.totals.droppedRecords).toBe(60);
  expect(spool.totals.droppedRecords).toBeGreaterThan(20);
  await spool[Symbol.asyncDispose]();
});

test('what dead processes left is dropped first', async () => {
  const machine = new Machine();
  const fileSystem = await disk();
  await append(await open(machine, fileSystem), 0, 5);
  const after = fileSystem.kill();
  machine.processDied();
  const spool = await open(machine, after);
  const [journal] = await spool.adopt(new AbortController().signal);
  await append(spool, 6, 11);
  await vi.waitFor(() => expect(spool.size).toBeLessThanOrEqual(9000), 20_000);
  const sink = new MemorySink();
  if (journal !== undefined) await shipper(sink).ship(journal, new AbortController().signal);
  await drain(spool, shipper(sink));
  const found = sink.messages.map(numberOf);
  expect(found.at(-1)).toBe(11);
  expect(found).toEqual(Array.from(found, (_, index) => 12 - found.length + index));
  expectBalance(spool, 12, found.length);
  await spool[Symbol.asyncDispose]();
});

/** Reads the first block of a spool, and no more. */
async function startReading(spool: Spool): Promise<void> {
  await spool.live.read(new AbortController().signal).next();
}

test('at whatever moment the process dies or the power fails, each line was found or is counted as dropped', async () => {
  for (const end of ['kill', 'crash'] as const) {
    for (let moment = 1, ended = true; ended; moment += 1) {
      const machine = new Machine();
      const fileSystem = await disk(moment);
      const spool = await open(machine, fileSystem);
      let calls = 0;
      let after: FaultyFileSystem | undefined;
      fileSystem.before(({ op, path, from = '' }) => {
        const drops = op === 'unlink' || from.endsWith('.tmp') || path.endsWith('.tmp');
        if (drops && (calls += 1) === moment && after === undefined) after = fileSystem[end]();
      });
      let acknowledged = 0;
      for (let number = 0; number < 16; number += 1) {
        if (after !== undefined) break;
        const taken = await append(spool, number, number).then(
          () => true,
          () => false,
        );
        // Whether it was before or after the end, nobody knows.
        if (taken && after === undefined) acknowledged = number + 1;
        if (number === 0) await startReading(spool).catch(() => undefined);
      }
      await spool[Symbol.asyncDispose]().catch(() => undefined);
      ended = after !== undefined;
      if (!ended) expect(moment).toBeGreaterThan(10);
      machine.processDied();
      const next = await open(machine, after ?? fileSystem[end]());
      const sink = new MemorySink();
      await drain(next, shipper(sink));
      const { totals } = next;
      const found = sink.messages.map(numberOf);
      expect(found, `${end} at ${moment}`).toEqual([...new Set(found)].toSorted((a, b) => a - b));
      expect(found[0], `${end} at ${moment}`).toBe(0);
      const all = found.length + totals.droppedRecords;
      expect(all, `${end} at ${moment}`).toBeGreaterThanOrEqual(acknowledged);
      expect(all, `${end} at ${moment}`).toBeLessThanOrEqual((found.at(-1) ?? 0) + 1);
      expect(totals, `${end} at ${moment}`).toMatchObject({
        unreadBytes: 0,
        committedBytes: totals.droppedBytes + totals.readBytes,
        indexedRecords: found.length,
        readRecords: all,
      });
      await next[Symbol.asyncDispose]();
    }
  }
});

test('the valid length of a segment that stays is known after its successor was dropped', async () => {
  const machine = new Machine();
  const fileSystem = await disk();
  const spool = await open(machine, fileSystem);
  await spool.append(block(source('a'), 'kept\n'));
  await startReading(spool);
  // The bytes are written behind the first line, and the sync fails: they are written again into the next segment.
  let failures = 1;
  fileSystem.before(({ op, path }) =>
    op === 'datasync' && path.endsWith('.segment') && (failures -= 1) === 0 ? fault('EIO', op, path) : undefined,
  );
  await append(spool, 0, 20);
  await vi.waitFor(() => expect(spool.size).toBeLessThanOrEqual(9000), 20_000);
  const { droppedRecords } = spool.totals;
  expect(droppedRecords).toBeGreaterThan(5);
  const after = fileSystem.kill();
  machine.processDied();
  const next = await open(machine, after);
  const sink = new MemorySink();
  await drain(next, shipper(sink));
  expect(sink.messages[0]).toBe('kept');
  const found = sink.messages.slice(1).map(numberOf);
  expect(found).toEqual(Array.from(found, (_, index) => 21 - found.length + index));
  expect(next.totals).toMatchObject({ unreadBytes: 0, droppedRecords, indexedRecords: 22 - droppedRecords });
  await next[Symbol.asyncDispose]();
});

test('on a full disk what is oldest makes room, also for the checkpoint that says so', async () => {
  const machine = new Machine();
  const fileSystem = await disk();
  const spool = await open(machine, fileSystem);
  await append(spool, 0, 5);
  vi.useFakeTimers({ toFake: ['performance'] });
  let full = true;
  fileSystem.before(({ op, path }) => {
    if (op === 'unlink' && path.endsWith('1.segment')) full = false;
    return full && op === 'writev' ? fault('ENOSPC', op, path) : undefined;
  });
  await expect(spool.append(block(source('a'), `${line(6)}\n`))).rejects.toMatchObject({ code: 'full' });
  await vi.waitFor(() => expect(full).toBe(false), 20_000);
  vi.advanceTimersByTime(1000);
  await append(spool, 6, 6);
  const sink = new MemorySink();
  await drain(spool, shipper(sink));
  expect(sink.messages.map(numberOf)).toEqual([1, 2, 3, 4, 5, 6]);
  expectBalance(spool, 7, 6);
  await spool[Symbol.asyncDispose]();
});

test('a spool that fills up is told of at 50, 80 and 95 %, each once until it has emptied, with the time that is left', () => {
  const told: object[] = [];
  let now = 0;
  const watch = new FillWatch(1000, { ...silent, warn: (fields) => void told.push(fields) }, () => now);
  const sizes = [100, 200, 300, 400, 499, 600, 790, 800, 799, 801, 949, 960, 700, 960, 840, 960, 100, 500];
  for (const size of sizes) {
    watch.note(size);
    now += 10_000;
  }
  expect(told).toEqual([
    { percent: 60, maxSize: 1000, secondsLeft: 40 },
    { percent: 80, maxSize: 1000, secondsLeft: 20 },
    { percent: 96, maxSize: 1000, secondsLeft: 5 },
    { percent: 96, maxSize: 1000, secondsLeft: 6 },
    { percent: 96, maxSize: 1000, secondsLeft: 7 },
    { percent: 50, maxSize: 1000, secondsLeft: 213 },
  ]);
});
