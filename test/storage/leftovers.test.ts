import { expect, test } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { temporaryFolder, uploadsFolder } from '../../storage/layout.ts';
import { FaultyFileSystem } from '../support/faulty-fs.ts';
import { body, image, pushImage } from '../support/images.ts';
import { random } from '../support/random.ts';
import { root, storeOn } from './power-cut.ts';

const pushed = image({ seed: 1, layerSizes: [] });
const bytes = random(13).bytes(2000);

/** A bit of all that leaves something while it is half done. */
async function work(files: FaultyFileSystem): Promise<void> {
  await using store = await storeOn(files);
  await pushImage(store, 'a', pushed, 'v1');
  const [one, two] = [await store.uploads.create('a'), await store.uploads.create('a')];
  await store.uploads.append('a', one.id, body(bytes.subarray(0, 1000)));
  await store.uploads.append('a', one.id, body(bytes.subarray(1000)));
  await store.uploads.cancel('a', one.id);
  await store.uploads.append('a', two.id, body(bytes));
  const wrong = store.uploads.commit('a', two.id, pushed.config.digest, undefined);
  await expect(wrong).rejects.toMatchObject({ code: 'DIGEST_INVALID' });
  const left = await store.uploads.create('a');
  await store.uploads.append('a', left.id, body(bytes));
  await store.uploads.expire(0);
  await store.tags.delete('a', 'v1');
  await store.manifests.delete('a', pushed.manifest.digest);
}

/** What a sweep leaves, though it is neither finished nor can be gone on with. */
async function litter(fileSystem: FaultyFileSystem): Promise<string[]> {
  await using driver = await openDisk({ root, fileSystem });
  await driver.sweep(0);
  const left = (await driver.list(temporaryFolder)).map(({ name }) => `tmp/${name}`);
  for (const { name } of await driver.list(uploadsFolder)) {
    if (name.includes('.data.')) continue;
    const lease = await driver.uploads.open(name);
    if (lease === undefined) left.push(`uploads/${name}`);
    await lease?.abort();
  }
  return [...left, ...(await driver.list(uploadsFolder)).map(({ name }) => `uploads/${name}, after its end`)];
}

test.each(['kill', 'crash'] as const)(
  'whenever a %s comes, the next sweep removes all that was half done',
  async (end) => {
    const whole = new FaultyFileSystem();
    await work(whole);
    let kept = 0;
    for (let stop = 1; stop <= whole.calls; stop += 1) {
      const files = new FaultyFileSystem({ seed: stop });
      let next: FaultyFileSystem | undefined;
      files.before(({ number }) => {
        if (number === stop) next = files[end]();
      });
      await work(files).catch(() => undefined);
      if (next === undefined) throw new Error('it made fewer calls than before');
      kept += next.files().size > 0 ? 1 : 0;
      expect(await litter(next), `before call ${stop}`).toEqual([]);
    }
    expect(kept).toBeGreaterThan(whole.calls / 2);
  },
);

test('a sweep leaves what somebody has touched within its age', async () => {
  const files = new FaultyFileSystem();
  await using driver = await openDisk({ root, fileSystem: files });
  const [young, half] = [`${root}/${temporaryFolder}/young`, `${root}/${uploadsFolder}/half`];
  await files.mkdir(young, { recursive: true });
  await files.mkdir(half, { recursive: true });
  await driver.sweep(60_000);
  expect([await driver.list(temporaryFolder), await driver.list(uploadsFolder)]).toEqual([
    [{ name: 'young', folder: true }],
    [{ name: 'half', folder: true }],
  ]);
  await driver.sweep(0);
  expect([await driver.list(temporaryFolder), await driver.list(uploadsFolder)]).toEqual([[], []]);
});
