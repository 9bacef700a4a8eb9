import { expect, test, vi } from 'vitest';
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
