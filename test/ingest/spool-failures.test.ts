import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { type Call, fault, type Verdict } from '../support/faulty-fs.ts';
import { quiet } from '../support/log.ts';
import { random } from '../support/random.ts';
import { block, disk, drain, Machine, MemorySink, shipper, source } from '../support/spool.ts';

interface Outcome {
  readonly acknowledged: string[];
  readonly found: string[];
  readonly quarantined: number;
  readonly calls: number;
}

/**
 * Appends twelve blocks, of which nothing is delivered; another process delivers what it finds. The first is killed, so
 * that all that it wrote is still there, of failed writes and syncs too; or all is lost that was not synced.
 */
async function run(hook: (call: Call) => Verdict, end: 'kill' | 'power cut' = 'kill'): Promise<Outcome> {
  const fileSystem = await disk();
  const machine = new Machine();
  const spool = await machine.open(fileSystem, { segmentSize: 600 });
  const acknowledged: string[] = [];
  const start = fileSystem.calls;
  fileSystem.before((call) => hook({ ...call, number: call.number - start }));
  for (let n = 0; n < 12; n += 1) {
    const text = `${n} ${'x'.repeat(50)}`;
    // The last one is taken, so that it says what of the others counts.
    if (n === 11) fileSystem.before(undefined);
    await spool.append(block(source('a'), `${text}\n`)).then(
      () => acknowledged.push(text),
      () => undefined,
    );
  }
  const calls = fileSystem.calls - start;
  const next = end === 'kill' ? fileSystem.kill() : fileSystem.crash({ loseAll: true });
  machine.processDied();
  const again = await machine.open(next);
  const sink = new MemorySink();
  await drain(again, shipper(sink));
  const { quarantinedBytes: quarantined } = again.totals;
  await again[Symbol.asyncDispose]();
  return { acknowledged, found: sink.messages, quarantined, calls };
}

const failing = new Set(['open', 'writev', 'datasync', 'dirsync', 'unlink', 'close']);

test.each([1, 2, 3, 5, 9])(
  'what was acknowledged is found once, and what was refused never, when %i calls fail from any one on',
  async (length) => {
    const { calls } = await run(() => undefined);
    let refused = 0;
    for (let at = 1; at <= calls; at += 1) {
      const outcome = await run(({ op, path, number }) =>
        number >= at && number < at + length && failing.has(op) ? fault('EIO', op, path) : undefined,
      );
      expect(outcome.found, `from call ${at}`).toEqual(outcome.acknowledged);
      expect(outcome.quarantined, `from call ${at}`).toBe(0);
      if (outcome.acknowledged.length < 12) refused += 1;
    }
    // One failure is mended by the second segment.
    if (length === 1) expect(refused).toBe(0);
    if (length === 9) expect(refused).toBeGreaterThan(0);
  },
);

test.each(['writev', 'datasync', 'dirsync'])(
  'what was refused is not found after a kill, though nothing was taken since: %s',
  async (site) => {
    for (let at = 1; at <= 12; at += 1) {
      const fileSystem = await disk();
      const machine = new Machine();
      const spool = await machine.open(fileSystem, { segmentSize: 600 });
      const acknowledged: string[] = [];
      for (let n = 1; n <= 12; n += 1) {
        if (n === at) fileSystem.before(({ op, path }) => (op === site ? fault('EIO', op, path) : undefined));
        const text = `${n} ${'x'.repeat(50)}`;
        await spool.append(block(source('a'), `${text}\n`)).then(
          () => acknowledged.push(text),
          () => undefined,
        );
      }
      const next = fileSystem.kill();
      machine.processDied();
      const again = await machine.open(next);
      const sink = new MemorySink();
      await drain(again, shipper(sink));
      expect(sink.messages, `from block ${at}`).toEqual(acknowledged);
      await again[Symbol.asyncDispose]();
    }
  },
);

test('what a failed sync left, and could not be cut off, is not found a second time after a kill', async () => {
  const fileSystem = await disk();
  const machine = new Machine();
  const spool = await machine.open(fileSystem, { segmentSize: 1 << 20 });
  await spool.append(block(source('a'), 'first\n'));
  let fails = true;
  fileSystem.before(({ op, path }) => {
    if (op === 'truncate') return fault('EIO', op, path);
    if (op !== 'datasync' || !fails) return undefined;
    fails = false;
    return fault('EIO', op, path);
  });
  await spool.append(block(source('a'), 'second\n'));
  const next = fileSystem.kill();
  machine.processDied();
  const again = await machine.open(next);
  const sink = new MemorySink();
  await drain(again, shipper(sink));
  expect(sink.messages).toEqual(['first', 'second']);
  await again[Symbol.asyncDispose]();
});

test('what was acknowledged after a failed sync survives a power cut: that file is never believed again', async () => {
  const { calls } = await run(() => undefined);
  for (let at = 1; at <= calls; at += 1) {
    let failed = '';
    const outcome = await run(({ op, path, number }) => {
      if (op === 'writev' || op === 'datasync') expect(path).not.toBe(failed);
      if (number !== at || !failing.has(op)) return undefined;
      if (op === 'datasync') failed = path;
      return fault('EIO', op, path);
    }, 'power cut');
    expect(outcome.acknowledged).toHaveLength(12);
    expect(outcome.found, `call ${at}`).toEqual(outcome.acknowledged);
  }
});

test('nothing is delivered before its sync succeeded, and never if it fails', async () => {
  const fileSystem = await disk();
  const spool = await new Machine().open(fileSystem, { segmentSize: 1 << 20 });
  const sink = new MemorySink();
  const shipping = shipper(sink).ship(spool.live, new AbortController().signal);
  await spool.append(block(source('a'), 'first\n'));
  await vi.waitFor(() => expect(sink.messages).toEqual(['first']), 20_000);
  fileSystem.before(async ({ op, path }) => {
    if (op !== 'datasync' || !path.endsWith('.segment')) return undefined;
    await sleep(10);
    expect(sink.messages).toEqual(['first']);
    return fault('EIO', op, path);
  });
  await expect(spool.append(block(source('a'), 'second\n'))).rejects.toMatchObject({ code: 'io' });
  fileSystem.before(undefined);
  await spool.append(block(source('a'), 'third\n'));
  await spool.close();
  await shipping;
  expect(sink.messages).toEqual(['first', 'third']);
  await spool[Symbol.asyncDispose]();
});

test('a write that is cut short anywhere, again and again, is continued', async () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const draw = random(seed);
    const outcome = await run(({ op, length }) => (op === 'writev' ? { short: 1 + draw.int(length) } : undefined));
    expect(outcome.acknowledged).toHaveLength(12);
    expect(outcome.found).toEqual(outcome.acknowledged);
    expect(outcome.quarantined).toBe(0);
  }
});

test('a write that is cut short by a full disk is written again as a whole, and not found twice', async () => {
  for (let at = 1; at < 40; at += 1) {
    const outcome = await run(({ op, path, number, length }) => {
      if (number === at && op === 'writev') return { short: length - 1 };
      return number === at + 1 && op === 'writev' ? fault('ENOSPC', op, path) : undefined;
    });
    expect(outcome.acknowledged).toHaveLength(12);
    expect(outcome.found).toEqual(outcome.acknowledged);
  }
});

test('of a disk that stays full the log tells once in a while, in a line without a stack', async () => {
  const fileSystem = await disk();
  const warn = vi.fn();
  await using spool = await new Machine().open(fileSystem, { log: { ...quiet, warn } });
  fileSystem.before(({ op, path }) => (op === 'writev' ? fault('ENOSPC', op, path) : undefined));
  for (let n = 0; n < 20; n += 1) await expect(spool.append(block(source('a'), 'x\n'))).rejects.toThrow('ENOSPC');
  fileSystem.before(undefined);
  const told = warn.mock.calls.filter(([, message]) => String(message).includes('a commit of the spool failed'));
  expect(told.map(([fields]) => fields)).toEqual([
    { reason: expect.stringContaining('ENOSPC'), directory: expect.any(String) },
  ]);
});
