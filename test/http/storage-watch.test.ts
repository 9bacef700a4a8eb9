import { expect, onTestFinished, test, vi } from 'vitest';
import { openLog } from '../../src/log.ts';
import { type StorageWatch, watchStorage } from '../../src/storage-watch.ts';

const GiB = 1024 ** 3;

/** A place for images that is as it is told. */
class Place {
  free: () => Promise<number | undefined> = async () => 9 * GiB;
  stat: () => Promise<undefined> = async () => undefined;
}

async function watched(place: Place): Promise<{ watch: StorageWatch; logged: Record<string, unknown>[] }> {
  const logged: Record<string, unknown>[] = [];
  const log = openLog({ write: (line) => void logged.push(JSON.parse(line)) });
  const driver = { stat: () => place.stat(), free: () => place.free() };
  const watch = await watchStorage({ driver, reserve: GiB, log, every: 5, patience: 50 });
  onTestFinished(() => watch[Symbol.asyncDispose]());
  return { watch, logged };
}

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 5 });

test('a place that is away is not ready, and ready again when it is back; the log says each once, and why', async () => {
  const place = new Place();
  const { watch, logged } = await watched(place);
  expect(watch.readiness()).toEqual({ ready: true, state: 'ok' });
  place.stat = async () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.9:9000'));
  await until(() => expect(watch.readiness().ready).toBe(false));
  // Anyone may ask.
  expect(watch.readiness().state).not.toContain('10.0.0.9');
  place.stat = async () => undefined;
  await until(() => expect(watch.readiness()).toEqual({ ready: true, state: 'ok' }));
  await until(() => expect(logged).toHaveLength(2));
  expect(logged).toMatchObject([{ level: 50, reason: 'connect ECONNREFUSED 10.0.0.9:9000' }, { level: 30 }]);
});

test('a place that does not answer is not ready', async () => {
  const place = new Place();
  place.stat = async () => new Promise<undefined>(() => undefined);
  const { watch, logged } = await watched(place);
  expect(watch.readiness().ready).toBe(false);
  expect(logged).toMatchObject([{ level: 50, reason: 'no answer within 0.05 s' }]);
});

test('less room than is kept in reserve is told at the start, with the key; pulls go on', async () => {
  const place = new Place();
  place.free = async () => 58 * 1024 ** 2;
  const { watch, logged } = await watched(place);
  expect(watch.readiness().ready).toBe(true);
  expect(logged).toMatchObject([
    { level: 40, reason: expect.stringContaining('storage.disk.free_space_reserve keeps 1024 MiB') },
  ]);
});

test('where there is no telling what is free, there is room', async () => {
  const place = new Place();
  place.free = async () => undefined;
  const { watch } = await watched(place);
  expect(watch.readiness()).toEqual({ ready: true, state: 'ok' });
});
