import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openSpool } from '../../ingest/spool/spool.ts';
import { type FaultyFileSystem, fault } from '../support/faulty-fs.ts';
import { block, disk, drain, Machine, MemorySink, shipper, silent, source } from '../support/spool.ts';

/** The lock of the directory that lies in the spool, or is being made. */
function lockOf(path: string): string {
  return `${path.startsWith('/data/spool/') ? path.split('/').slice(0, 4).join('/') : '/data/spool'}/lock`;
}

test('a maker whose new directory was taken by one who looks for orphans makes another', async () => {
  const fileSystem = await disk();
  const machine = new Machine();
  const taken: Disposable[] = [];
  fileSystem.before(({ op, path }) => {
    if (op !== 'mkdir' || !path.includes('/.new-') || taken.length === 2) return;
    const lock = machine.takeLock(`${path}/lock`);
    if (lock !== undefined) taken.push(lock);
  });
  const spool = await machine.open(fileSystem);
  expect(taken).toHaveLength(2);
  await spool.append(block(source('a'), 'here\n'));
  await spool[Symbol.asyncDispose]();
});

test('a maker whose new directory was removed before its rename makes another', async () => {
  const fileSystem = await disk();
  let removed = 0;
  fileSystem.before(async ({ op, from = '' }) => {
    if (op !== 'rename' || !from.includes('/.new-') || removed > 0) return;
    removed += 1;
    await fileSystem.rmdir(from);
  });
  const machine = new Machine();
  const spool = await machine.open(fileSystem);
  expect(removed).toBe(1);
  await spool.append(block(source('a'), 'here\n'));
  await spool[Symbol.asyncDispose]();
});

test('a directory that is removed is locked until it is gone', async () => {
  const fileSystem = await disk();
  const machine = new Machine();
  const spool = await machine.open(fileSystem);
  await spool.append(block(source('a'), 'delivered\n'));
  await drain(spool, shipper(new MemorySink()));
  let asked = 0;
  fileSystem.before(({ op, path }) => {
    if (op !== 'unlink' && op !== 'rmdir') return;
    asked += 1;
    expect(machine.takeLock(lockOf(path))).toBeUndefined();
  });
  await spool[Symbol.asyncDispose]();
  expect(asked).toBeGreaterThan(1);
});

test('a directory whose ledger is counted is removed unread, whatever a power cut brought back of it', async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const fileSystem = await disk(seed);
    const machine = new Machine();
    const spool = await machine.open(fileSystem, { segmentSize: 100 });
    for (let n = 0; n < 5; n += 1) await spool.append(block(source('a'), `${n}\n`));
    await drain(spool, shipper(new MemorySink()));
    let after: FaultyFileSystem | undefined;
    fileSystem.before(({ op }) => {
      if (op === 'rmdir') after = fileSystem.crash();
    });
    await spool[Symbol.asyncDispose]().catch(() => undefined);
    after ??= fileSystem.crash();
    machine.processDied();
    const next = await machine.open(after);
    const sink = new MemorySink();
    await drain(next, shipper(sink));
    expect({ again: sink.messages, ...next.totals }, `seed ${seed}`).toMatchObject({
      again: [],
      indexedRecords: 5,
      unreadBytes: 0,
    });
    await next[Symbol.asyncDispose]();
  }
});

test('no block overtakes one of its connection that the disk refused', async () => {
  const fileSystem = await disk();
  const machine = new Machine();
  const spool = await machine.open(fileSystem);
  const from = source('a');
  let failures = 2;
  let second: Promise<string> | undefined;
  const append = (text: string): Promise<string> =>
    spool.append(block(from, text)).then(
      () => 'taken',
      () => 'refused',
    );
  fileSystem.before(({ op, path }) => {
    if (op !== 'writev') return undefined;
    second ??= append('2\n');
    return (failures -= 1) >= 0 ? fault('EIO', op, path) : undefined;
  });
  expect([await append('1\n'), await second]).toEqual(['refused', 'refused']);
  expect([await append('1\n'), await append('2\n')]).toEqual(['taken', 'taken']);
  const sink = new MemorySink();
  await drain(spool, shipper(sink));
  expect(sink.messages).toEqual(['1', '2']);
  await spool[Symbol.asyncDispose]();
});

test('what is being committed when the spool closes is delivered before its reader ends', async () => {
  const fileSystem = await disk();
  const machine = new Machine();
  const spool = await machine.open(fileSystem);
  const sink = new MemorySink();
  const shipping = shipper(sink).ship(spool.live, new AbortController().signal);
  await spool.append(block(source('a'), '1\n'));
  await sleep(5);
  let last: Promise<void> | undefined;
  const queued = new Promise<void>((resolve) => {
    fileSystem.before(async ({ op, path }) => {
      if (op !== 'datasync' || !path.endsWith('.segment')) return;
      last ??= spool.append(block(source('a'), '3\n'));
      resolve();
      await sleep(20);
    });
  });
  const before = spool.append(block(source('a'), '2\n'));
  await queued;
  await Promise.all([spool.close(), before, last, shipping]);
  expect(sink.messages).toEqual(['1', '2', '3']);
  await spool[Symbol.asyncDispose]();
});

test('a block as large as all that may be is delivered, deleted, and followed by others', async () => {
  const machine = new Machine();
  const spool = await machine.open(await disk(), { maxSize: 1000, segmentSize: 1 << 20 });
  const sink = new MemorySink();
  const ending = new AbortController();
  const shipping = shipper(sink).ship(spool.live, ending.signal);
  for (const text of ['x'.repeat(2000), 'y'.repeat(1500), 'z']) {
    await spool.untilWritable(AbortSignal.timeout(5000));
    await spool.append(block(source('a'), `${text}\n`));
  }
  await spool.close();
  await shipping;
  expect(sink.messages.map((text) => text.length)).toEqual([2000, 1500, 1]);
  await spool[Symbol.asyncDispose]();
});

test('whether a block is taken is what `full` says, so that nobody waits for what is there and is refused', async () => {
  const machine = new Machine();
  const spool = await machine.open(await disk(), { maxSize: 1000 });
  for (let n = 0; n < 30; n += 1) {
    const { full } = spool;
    const taken = await spool.append(block(source('a'), `${'x'.repeat(300)}\n`)).then(
      () => true,
      () => false,
    );
    expect(taken).toBe(!full);
  }
  expect(spool.full).toBe(true);
  await expect(spool.untilWritable(AbortSignal.timeout(1))).rejects.toThrow();
});

test('a directory whose lock cannot be taken is told of, and does not keep others from being taken over', async () => {
  const fileSystem = await disk();
  const machine = new Machine();
  for (const text of ['1\n', '2\n']) await (await machine.open(fileSystem)).append(block(source('a'), text));
  const next = fileSystem.kill();
  machine.processDied();
  const lives = (await next.readdir('/data/spool')).toSorted();
  const told: string[] = [];
  const spool = await openSpool({
    directory: '/data/spool',
    fileSystem: next,
    maxSize: 1 << 30,
    takeLock: (file) => {
      if (file.includes(lives[0] ?? '')) throw new Error('unable to open database file');
      return machine.takeLock(file);
    },
    past: machine.past,
    log: { ...silent, error: (_, message) => void told.push(message) },
  });
  const journals = await spool.adopt(new AbortController().signal);
  expect(journals.map(({ id }) => id)).toEqual(lives.slice(1));
  expect(told).toEqual(['the lock of a spool directory cannot be taken']);
  await spool[Symbol.asyncDispose]();
});
