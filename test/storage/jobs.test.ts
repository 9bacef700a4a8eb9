import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startStorageJobs } from '../../src/storage-jobs.ts';
import { openDisk } from '../../storage/drivers/disk.ts';
import { temporaryFolder } from '../../storage/layout.ts';
import { openLog } from '../../src/log.ts';
import { openStore } from '../../storage/store.ts';
import { fault, FaultyFileSystem } from '../support/faulty-fs.ts';
import { root } from './power-cut.ts';

/** What waits for its next turn, and for how long. */
let waiting: { ms: number; wake: () => void }[] = [];

vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number, _value: unknown, { signal }: { signal: AbortSignal }) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ ms, wake: resolve });
      signal.addEventListener('abort', () => reject(new Error('aborted')));
    }),
}));

beforeEach(() => {
  waiting = [];
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets time pass, and wakes whoever waits for less. */
async function pass(ms: number): Promise<void> {
  vi.advanceTimersByTime(ms);
  const due = waiting.filter((one) => one.ms <= ms);
  waiting = waiting.filter((one) => one.ms > ms);
  for (const { wake } of due) wake();
  await vi.waitFor(() => expect(waiting).toHaveLength(2), 20_000);
}

const [minute, hour, day] = [60_000, 3_600_000, 86_400_000];

test('idle uploads and what a crash left go at the start, and again and again; a failure is logged, and tried again', async () => {
  const files = new FaultyFileSystem();
  const driver = await openDisk({ root, fileSystem: files });
  await using store = await openStore({ driver, indexMaxAge: 0 });
  const logged: { msg: string }[] = [];
  const log = openLog({ write: (line) => void logged.push(JSON.parse(line)) });
  const old = await store.uploads.create('a');
  await files.mkdir(`${root}/${temporaryFolder}/old`, { recursive: true });
  vi.advanceTimersByTime(day);
  const litter = async (): Promise<number> => (await driver.list(temporaryFolder)).length;

  {
    await using _jobs = startStorageJobs({ store, driver, uploadExpiry: day, log });
    await vi.waitFor(() => expect(waiting).toHaveLength(2), 20_000);
    await expect(store.uploads.status('a', old.id)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
    expect(await litter()).toBe(0);
    expect(waiting.map(({ ms }) => ms).toSorted((one, other) => one - other)).toEqual([5 * minute, hour]);

    const late = await store.uploads.create('a');
    await files.mkdir(`${root}/${temporaryFolder}/late`, { recursive: true });
    files.before(({ op, path }) => (op === 'readdir' ? fault('EIO', op, path) : undefined));
    await pass(day);
    files.before(undefined);
    expect(logged.map(({ msg }) => msg).toSorted()).toEqual([
      'ending idle uploads failed; it is tried again later',
      'removing what a crash has left failed; it is tried again later',
    ]);
    await pass(5 * minute);
    await expect(store.uploads.status('a', late.id)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
    expect(await litter()).toBe(1);
    await pass(hour);
    expect(await litter()).toBe(0);
  }
});
