import { expect, test } from 'vitest';
import type { Store } from '../../storage/store.ts';
import { type Call, fault, FaultyFileSystem, type Verdict } from '../support/faulty-fs.ts';
import { image, pushImage } from '../support/images.ts';
import { leftoversOf } from './backends.ts';
import { faults, storeOn } from './power-cut.ts';

const [older, newer] = [image({ seed: 1, layerSizes: [] }), image({ seed: 2, layerSizes: [] })];

/** Moves a tag, reads it, and deletes another tag and the manifest; what fails is tried once more. */
async function moveAndDelete(store: Store, errors: unknown[]): Promise<void> {
  const insist = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      errors.push(error);
      await work();
    }
  };
  await insist(() => pushImage(store, 'a', newer, 'v1'));
  await insist(async () => {
    expect((await store.manifests.get('a', 'v1')).bytes).toEqual(newer.manifest.bytes);
  });
  await insist(() => store.tags.delete('a', 'v2'));
  await insist(() => store.manifests.delete('a', older.manifest.digest));
}

async function callsOf(): Promise<{ calls: Call[]; store: Store; files: FaultyFileSystem }> {
  const files = new FaultyFileSystem();
  const store = await storeOn(files);
  for (const tag of ['v1', 'v2', 'v3']) await pushImage(store, 'a', older, tag);
  const calls: Call[] = [];
  files.before((call) => void calls.push(call));
  return { calls, store, files };
}

async function withVerdict(number: number, verdict: Verdict): Promise<{ files: FaultyFileSystem; errors: unknown[] }> {
  const { store, files } = await callsOf();
  const first = files.calls;
  files.before((call) => (call.number === first + number ? verdict : undefined));
  const errors: unknown[] = [];
  try {
    await moveAndDelete(store, errors);
  } catch (error) {
    // A deletion that failed after all may have done its work.
    expect(error).toMatchObject({ code: 'MANIFEST_UNKNOWN' });
    await store.manifests.delete('a', older.manifest.digest).catch(() => undefined);
  }
  files.before(undefined);
  const after = files.crash({ loseAll: true });
  expect(await faults(after, new Map([['a v1', [newer]]]))).toEqual([]);
  return { files, errors };
}

test('a full disk is told of as such, another try succeeds, and nothing half-written stays', async () => {
  const { calls, store } = await callsOf();
  await moveAndDelete(store, []);
  const grows = new Set(['writev', 'mkdir', 'datasync', 'dirsync']);
  for (const [place, { op, path }] of calls.entries()) {
    if (!grows.has(op)) continue;
    const { files, errors } = await withVerdict(place + 1, fault('ENOSPC', op, path));
    for (const error of errors) {
      expect(error, `${op} ${path}`).toMatchObject({ code: 'NO_SPACE' });
    }
    expect(
      leftoversOf(files).filter((left) => left.includes('/tmp/')),
      `${op} ${path}`,
    ).toEqual([]);
  }
});

test('an I/O error is told of, another try succeeds, and what was pushed is whole', async () => {
  const { calls, store } = await callsOf();
  await moveAndDelete(store, []);
  for (const [place, { op, path }] of calls.entries()) {
    const { errors } = await withVerdict(place + 1, fault('EIO', op, path));
    for (const error of errors) expect(error, `${op} ${path}`).toMatchObject({ code: 'EIO' });
  }
});
