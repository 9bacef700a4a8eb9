import { describe, expect, test } from 'vitest';
import { type Call, type FaultyFileSystem, fault, type Verdict } from '../support/faulty-fs.ts';
import { random } from '../support/random.ts';
import { block, disk, drain, Machine, MemorySink, shipLive, shipper, source } from '../support/spool.ts';

/** What a run did, and what it was told. */
interface Run {
  readonly fileSystem: FaultyFileSystem;
  readonly machine: Machine;
  readonly sink: MemorySink;
  readonly acknowledged: Set<string>;
  readonly refused: Set<string>;
}

/** Opens the spool and appends 24 blocks of two connections, in turns, while they are delivered. */
async function work(run: Run): Promise<void> {
  const spool = await run.machine.open(run.fileSystem, { segmentSize: 700 });
  const shipping = shipLive(spool.live, shipper(run.sink));
  const sources = [source('a'), source('b')];
  for (let round = 0; round < 8; round += 1) {
    const appends = [0, 1, 2].map(async (turn) => {
      const text = `${round}.${turn} ${'x'.repeat(40)}`;
      try {
        await spool.append(block(sources[turn % 2] ?? source('c'), `${text}\n`));
        run.acknowledged.add(text);
      } catch {
        run.refused.add(text);
      }
    });
    await Promise.all(appends);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await shipping.stop();
}

/** Runs until call `at`, where the power is cut; then a new process delivers what is left. Answers what is wrong. */
async function crashAt(at: number, seed: number, loseAll: boolean, syncs: (call: Call) => Verdict): Promise<string[]> {
  const run: Run = {
    fileSystem: await disk(seed),
    machine: new Machine(),
    sink: new MemorySink(),
    acknowledged: new Set(),
    refused: new Set(),
  };
  let after: FaultyFileSystem | undefined;
  const start = run.fileSystem.calls;
  run.fileSystem.before((call) => {
    if (call.number - start === at) after = run.fileSystem.crash({ loseAll });
    return syncs(call);
  });
  await work(run).catch(() => undefined);
  after ??= run.fileSystem.crash({ loseAll });
  run.machine.processDied();
  const spool = await run.machine.open(after);
  await drain(spool, shipper(run.sink));
  const { totals } = spool;
  await spool[Symbol.asyncDispose]();

  const wrong: string[] = [];
  const count = new Map<string, number>();
  for (const message of run.sink.messages) count.set(message, (count.get(message) ?? 0) + 1);
  for (const text of run.acknowledged)
    if (count.get(text) !== 1) wrong.push(`${text.slice(0, 4)} is there ${count.get(text) ?? 0} times`);
  for (const [text, times] of count) if (times !== 1) wrong.push(`${text.slice(0, 4)} is there ${times} times`);
  const { readRecords, indexedRecords, committedBytes, readBytes, quarantinedBytes, unreadBytes } = totals;
  if (indexedRecords !== run.sink.found.size) wrong.push(`the ledger has ${indexedRecords} of ${run.sink.found.size}`);
  if (readRecords !== indexedRecords) wrong.push('records were read and not indexed');
  if (unreadBytes !== 0 || committedBytes !== readBytes + quarantinedBytes) wrong.push('the bytes do not add up');
  const left = [...after.files().keys()].filter((path) => path.endsWith('.segment') || path.endsWith('checkpoint'));
  if (left.length > 0) wrong.push(`left over: ${left.join(' ')}`);
  return wrong;
}

const honest = (): undefined => undefined;

async function callsOf(): Promise<number> {
  const fileSystem = await disk(1);
  const start = fileSystem.calls;
  await work({
    fileSystem,
    machine: new Machine(),
    sink: new MemorySink(),
    acknowledged: new Set(),
    refused: new Set(),
  });
  return fileSystem.calls - start;
}

describe('what was acknowledged is delivered once, and the ledgers agree, after a power cut', () => {
  test('at each call, with all lost that was not synced', async () => {
    const calls = await callsOf();
    expect(calls).toBeGreaterThan(60);
    for (let at = 1; at <= calls; at += 1) expect(await crashAt(at, at, true, honest), `at call ${at}`).toEqual([]);
  });

  test('at each call, with what was not synced kept, lost or torn at random', async () => {
    const calls = await callsOf();
    for (let at = 1; at <= calls; at += 1) {
      for (const seed of [1, 2])
        expect(await crashAt(at, seed * 1000 + at, false, honest), `call ${at}, seed ${seed}`).toEqual([]);
    }
  });
});

describe('each sync is needed: without it, a power cut breaks the promise', () => {
  let renamed = '';
  const sites: Record<string, (call: Call) => boolean> = {
    'the data of a segment': ({ op, path }) => op === 'datasync' && path.endsWith('.segment'),
    'the name of a segment, and of the checkpoint': ({ op, path }) => op === 'dirsync' && /\/spool\/\d/.test(path),
    'the name of the directory of a life': ({ op, path }) => op === 'dirsync' && path === '/data/spool',
    'the name of the spool': ({ op, path }) => op === 'dirsync' && path === '/data',
    'the data of the checkpoint': ({ op, path }) => op === 'datasync' && path.endsWith('checkpoint.tmp'),
    'the name of the checkpoint': ({ op, path }) => {
      if (op === 'rename') renamed = path;
      const isIts = op === 'dirsync' && renamed.endsWith('/checkpoint');
      if (op === 'dirsync') renamed = '';
      return isIts;
    },
  };
  test.each(Object.entries(sites))('%s', async (_, isSite) => {
    const calls = await callsOf();
    const lie = (call: Call): Verdict => (isSite(call) ? 'ignore' : undefined);
    for (let seed = 0; seed < 40; seed += 1) {
      for (let at = calls; at > 0; at -= 1 + (seed % 3)) {
        if ((await crashAt(at, seed * 1000 + at, seed === 0, lie)).length > 0) return;
      }
    }
    expect.fail('nothing noticed that the sync was missing');
  });
});

test('a write or sync that fails once costs nothing: the blocks go into a new segment', async () => {
  const calls = await callsOf();
  for (let at = 1; at <= calls; at += 1) {
    const run = {
      fileSystem: await disk(at),
      machine: new Machine(),
      sink: new MemorySink(),
      acknowledged: new Set<string>(),
      refused: new Set<string>(),
    };
    const start = run.fileSystem.calls;
    const failing = new Set(['writev', 'datasync', 'dirsync']);
    run.fileSystem.before(({ number, op, path }) => {
      if (number - start < at || number - start > at + 1 || !failing.has(op)) return undefined;
      return number - start === at && op === 'writev' ? { short: 7 } : fault('EIO', op, path);
    });
    const worked = await work(run).then(
      () => true,
      () => false,
    );
    run.fileSystem.before(undefined);
    const after = run.fileSystem.crash({ loseAll: at % 2 === 0 });
    run.machine.processDied();
    const spool = await run.machine.open(after);
    await drain(spool, shipper(run.sink));
    const missing = [...run.acknowledged].filter(
      (text) => run.sink.messages.filter((message) => message === text).length !== 1,
    );
    expect(missing, `at call ${at}`).toEqual([]);
    const twice = run.sink.messages.filter((message, index, all) => all.indexOf(message) !== index);
    expect(twice, `at call ${at}`).toEqual([]);
    if (worked) expect(run.acknowledged.size + run.refused.size).toBe(24);
    expect(spool.totals.indexedRecords, `at call ${at}`).toBe(run.sink.found.size);
    await spool[Symbol.asyncDispose]();
  }
});

test('records of a connection are delivered in the order in which they were appended', async () => {
  const fileSystem = await disk(1);
  const machine = new Machine();
  const sink = new MemorySink();
  const spool = await machine.open(fileSystem, { segmentSize: 300 });
  const from = source('a');
  await Promise.all(Array.from({ length: 200 }, (_, n) => spool.append(block(from, `${n}\n`))));
  await drain(spool, shipper(sink));
  expect(sink.messages).toEqual(Array.from({ length: 200 }, (_, n) => String(n)));
  await spool[Symbol.asyncDispose]();
  expect([...fileSystem.files().keys()]).toEqual([]);
});

describe('damage', () => {
  /** A directory of a dead process with some blocks, none delivered. */
  async function remains(
    seed = 1,
    count = 30,
  ): Promise<{ fileSystem: FaultyFileSystem; machine: Machine; path: string }> {
    const fileSystem = await disk(seed);
    const machine = new Machine();
    const spool = await machine.open(fileSystem, { segmentSize: 1 << 20 });
    for (let n = 0; n < count; n += 1) await spool.append(block(source('a'), `${String(n).padStart(3, '0')}\n`));
    const next = fileSystem.kill();
    machine.processDied();
    const path = [...next.files().keys()].find((name) => name.endsWith('.segment')) ?? '';
    return { fileSystem: next, machine, path };
  }

  async function overwrite(fileSystem: FaultyFileSystem, path: string, at: number, bytes: Buffer): Promise<void> {
    const file = await fileSystem.open(path, 'r+');
    await file.writev([bytes], at);
    await file.sync();
    await file.close();
  }

  test('whatever bit flips, its block alone is missing, its bytes are kept, and the ledgers agree', async () => {
    const blocks = 5;
    const length = (await remains(1, blocks)).fileSystem.files().values().toArray()[0]?.length ?? 0;
    const size = (length - 64) / blocks;
    const draw = random(5);
    for (let at = 64; at < length; at += 1) {
      const { fileSystem, machine, path } = await remains(1, blocks);
      const bytes = fileSystem.files().get(path) ?? Buffer.alloc(0);
      const flipped = (bytes[at] ?? 0) ^ (1 << draw.int(8));
      await overwrite(fileSystem, path, at, Buffer.from([flipped]));
      const spool = await machine.open(fileSystem);
      const sink = new MemorySink();
      await drain(spool, shipper(sink));
      const hit = Math.floor((at - 64) / size);
      const others = Array.from({ length: blocks }, (_, n) => String(n).padStart(3, '0')).toSpliced(hit, 1);
      expect(sink.messages, `byte ${at}`).toEqual(others);
      const kept = [...fileSystem.files()].filter(([name]) => name.includes('/quarantine/'));
      expect(kept).toHaveLength(1);
      const damaged = Buffer.from(bytes);
      damaged[at] = flipped;
      const start = 64 + hit * size;
      expect(kept[0]?.[1].equals(damaged.subarray(start, start + size)), `byte ${at}`).toBe(true);
      const { committedBytes, readBytes, quarantinedBytes, unreadBytes } = spool.totals;
      expect(quarantinedBytes).toBe(size);
      expect({ committedBytes, unreadBytes }).toEqual({ committedBytes: readBytes + quarantinedBytes, unreadBytes: 0 });
      await spool[Symbol.asyncDispose]();
    }
  });

  test('whatever bit of a header flips, nothing is missing', async () => {
    const draw = random(6);
    for (let at = 0; at < 64; at += 1) {
      const { fileSystem, machine, path } = await remains(1, 2);
      const byte = fileSystem.files().get(path)?.[at] ?? 0;
      await overwrite(fileSystem, path, at, Buffer.from([byte ^ (1 << draw.int(8))]));
      const spool = await machine.open(fileSystem);
      const sink = new MemorySink();
      await drain(spool, shipper(sink));
      expect(sink.messages, `byte ${at}`).toEqual(['000', '001']);
      expect(spool.totals).toMatchObject({ quarantinedBytes: 0, unreadBytes: 0 });
      await spool[Symbol.asyncDispose]();
    }
  });

  test('a damaged header costs its segment, whose bytes are kept', async () => {
    const { fileSystem, machine, path } = await remains();
    await overwrite(fileSystem, path, 10, Buffer.from([1, 2, 3]));
    const whole = fileSystem.files().get(path);
    const spool = await machine.open(fileSystem);
    const sink = new MemorySink();
    await drain(spool, shipper(sink));
    expect(sink.messages).toEqual([]);
    const kept = [...fileSystem.files()].filter(([name]) => name.includes('/quarantine/'));
    expect(kept.map(([, bytes]) => bytes)).toEqual([whole]);
    expect(spool.totals).toMatchObject({
      quarantinedBytes: whole?.length,
      committedBytes: whole?.length,
      unreadBytes: 0,
    });
    await spool[Symbol.asyncDispose]();
  });

  test('a header that was overwritten with zeros costs its segment too, and the bytes behind it are kept', async () => {
    const { fileSystem, machine, path } = await remains();
    await overwrite(fileSystem, path, 0, Buffer.alloc(64));
    const whole = fileSystem.files().get(path);
    const spool = await machine.open(fileSystem);
    await drain(spool, shipper(new MemorySink()));
    const kept = [...fileSystem.files()].filter(([name]) => name.includes('/quarantine/'));
    expect(kept.map(([, bytes]) => bytes)).toEqual([whole]);
    expect(spool.totals.quarantinedBytes).toBe(whole?.length);
    await spool[Symbol.asyncDispose]();
  });

  test('bytes in a payload that look like a block are not taken for one', async () => {
    const { fileSystem, machine, path } = await remains();
    // A stranger who knows the format, but not the segment's id, sends whole blocks as text.
    const forged = (fileSystem.files().get(path) ?? Buffer.alloc(0)).subarray(64);
    fileSystem.kill();
    const clean = await disk(2);
    const other = new Machine();
    const spool = await other.open(clean, { segmentSize: 1 << 20 });
    await spool.append({ ...block(source('evil'), ''), payload: Buffer.concat([forged, Buffer.from('\n')]) });
    await spool.append(block(source('a'), 'good\n'));
    const next = clean.kill();
    other.processDied();
    machine.processDied();
    const file = [...next.files().keys()].find((name) => name.endsWith('.segment')) ?? '';
    await overwrite(next, file, 64, Buffer.from('XXXX'));
    const again = await other.open(next);
    const sink = new MemorySink();
    await drain(again, shipper(sink));
    expect(sink.messages).toEqual(['good']);
    await again[Symbol.asyncDispose]();
  });

  test.each([
    ['the bytes', ({ op, path }: Call) => op === 'datasync' && path.includes('/quarantine/')],
    ['their name', ({ op, path }: Call) => op === 'dirsync' && path.endsWith('/quarantine')],
    ['the folder', ({ op, path }: Call) => op === 'dirsync' && path === '/data/spool'],
    ['', () => false],
  ])('in quarantine survives a power cut once its segment is gone; each sync is needed: %s', async (site, isSite) => {
    let lost = 0;
    for (let at = 1; at < 160; at += 1) {
      const { fileSystem, machine, path } = await remains(at);
      for (const folder of ['/', '/data', '/data/spool', path.slice(0, path.lastIndexOf('/'))]) {
        const handle = await fileSystem.open(folder, 'r');
        await handle.sync();
        await handle.close();
      }
      await overwrite(fileSystem, path, 200, Buffer.from('damage'));
      const start = fileSystem.calls;
      let after: FaultyFileSystem | undefined;
      fileSystem.before((call) => {
        if (call.number - start === at) after = fileSystem.crash({ loseAll: at % 2 === 0 });
        return isSite(call) ? 'ignore' : undefined;
      });
      const spool = await machine.open(fileSystem).catch(() => undefined);
      if (spool !== undefined) await drain(spool, shipper(new MemorySink())).catch(() => undefined);
      after ??= fileSystem.crash({ loseAll: at % 2 === 0 });
      const files = [...after.files()];
      const segment = files.some(([name]) => name === path);
      const kept = files.some(([name, bytes]) => name.includes('/quarantine/') && bytes.includes('damage'));
      if (!segment && !kept) lost += 1;
    }
    if (site === '') expect(lost).toBe(0);
    else expect(lost).toBeGreaterThan(0);
  });
});
