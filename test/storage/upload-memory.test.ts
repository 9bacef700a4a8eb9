import { expect, test, vi } from 'vitest';
import { openMemory } from '../../storage/drivers/memory.ts';
import { openStore } from '../../storage/store.ts';
import { startRegistry } from '../support/registry.ts';

test('what slow uploads hold in memory is bounded over all of them', async () => {
  await using registry = await startRegistry();
  const { uploads } = registry.store;
  const [chunk, count, bound] = [Buffer.alloc(500 * 1024), 320, 128 * 1024 * 1024];
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  async function* slowly(): AsyncGenerator<Uint8Array, void, undefined> {
    yield chunk;
    waiting += 1;
    await gate.promise;
  }
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push((await uploads.create('app')).id);
  const running = ids.map((id) => uploads.append('app', id, slowly()));
  await vi.waitFor(async () => {
    expect(waiting).toBe(count);
    const offsets = await Promise.all(ids.map(async (id) => (await uploads.status('app', id)).offset));
    const held = count * chunk.length - offsets.reduce((sum, offset) => sum + offset, 0);
    expect(held).toBeLessThanOrEqual(bound);
  }, 10_000);
  gate.resolve();
  expect((await Promise.all(running)).every(({ offset }) => offset === chunk.length)).toBe(true);
});

test('what uploads hold that wait for the storage is bounded over all of them', async () => {
  const driver = openMemory();
  await using store = await openStore({ driver, indexMaxAge: 60_000 });
  const gate = Promise.withResolvers<void>();
  const open = driver.uploads.open.bind(driver.uploads);
  vi.spyOn(driver.uploads, 'open').mockImplementation(async (id, options) => {
    const lease = await open(id, options);
    if (lease === undefined) return undefined;
    vi.spyOn(lease, 'append').mockImplementation(() => gate.promise);
    return lease;
  });
  const [chunk, count, each] = [Buffer.alloc(64 * 1024), 600, 20];
  let sent = 0;
  async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let n = 0; n < each; n += 1) {
      sent += chunk.length;
      yield chunk;
    }
  }
  const ids = await Promise.all(Array.from({ length: count }, async () => (await store.uploads.create('app')).id));
  const running = ids.map((id) => store.uploads.append('app', id, body()));
  for (let turn = 0; turn < 2000; turn += 1) await new Promise(setImmediate);
  expect(sent).toBeGreaterThan(100 * 1024 * 1024);
  // Beyond the bound, each holds what it writes and what came next.
  expect(sent).toBeLessThanOrEqual(128 * 1024 * 1024 + count * 2 * chunk.length);
  gate.reject(new Error('away'));
  expect((await Promise.allSettled(running)).every(({ status }) => status === 'rejected')).toBe(true);
});
