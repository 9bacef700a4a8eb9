import { expect, test } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { openStore } from '../../storage/store.ts';
import { patience, seeds } from '../support/effort.ts';
import { fault, FaultyFileSystem } from '../support/faulty-fs.ts';
import { random } from '../support/random.ts';
import { leftoversOf } from './backends.ts';
import { Client, Model, repositories } from './model.ts';
import { faults, root, storeOn } from './power-cut.ts';

/** Lives of a server, each ended by a power cut, a kill or an orderly end, while clients work and calls fail. */
async function lives(seed: number): Promise<number> {
  const numbers = random(seed);
  const model = new Model();
  let acts = 0;
  let files = new FaultyFileSystem({ seed });
  for (let life = 1; life <= 4; life += 1) {
    const store = await storeOn(files);
    const lived = files;
    const end = files.calls + 500 + numbers.int(8000);
    const failing = numbers.chance(0.3) ? 0.005 : 0;
    const killed = numbers.chance(0.3);
    const ended: { next?: FaultyFileSystem } = {};
    files.before(({ number, op, path }) => {
      if (number === end) ended.next = killed ? lived.kill() : lived.crash({ loseAll: numbers.chance(0.3) });
      if (numbers.chance(failing)) return fault(numbers.pick(['EIO', 'ENOSPC']), op, path);
      return numbers.chance(0.05) && op === 'writev' ? { short: 1 + numbers.int(50) } : undefined;
    });
    await Promise.all(
      repositories.map(async (name) => {
        const client = new Client(store, name, model, numbers);
        for (let act = 0; act < 30 && ended.next === undefined; act += 1) {
          const { done } = model.expiries;
          acts += 1;
          try {
            await client.act();
          } catch (error) {
            const injected = hasCode(error, /^(?:EIO|ENOSPC|NO_SPACE)$/);
            const expired = (model.expiries.done > done || model.expiries.running > 0) && hasCode(error, /^UPLOAD_/);
            if (ended.next === undefined && !injected && !expired) throw error;
          }
        }
      }),
    );
    files.before(undefined);
    if (ended.next === undefined || !killed) model.doubtSessions();
    files = ended.next ?? files.crash({ loseAll: numbers.chance(0.5) });
    expect(await faults(files, model.promises), `seed ${seed}, life ${life}`).toEqual([]);
    await using next = await storeOn(files);
    for (const name of repositories) {
      expect(await model.listFaults(next, name), `seed ${seed}, life ${life}`).toEqual([]);
    }
  }
  const driver = await openDisk({ root, fileSystem: files });
  await using store = await openStore({ driver, indexMaxAge: 0 });
  await store.uploads.expire(0);
  await driver.sweep(0);
  expect(leftoversOf(files), `seed ${seed}`).toEqual([]);
  return acts;
}

function hasCode(error: unknown, codes: RegExp): boolean {
  return error instanceof Error && 'code' in error && codes.test(String(error.code));
}

test(
  'whatever clients do at once, whatever fails and ends, what was promised is there and whole',
  { timeout: patience },
  async () => {
    let acts = 0;
    for (const seed of seeds(24)) acts += await lives(seed);

    expect(acts).toBeGreaterThan(5000);
  },
);
