import { expect, test } from 'vitest';
import { FaultyFileSystem } from '../support/faulty-fs.ts';
import { image, pushImage } from '../support/images.ts';
import { root, storeOn } from './power-cut.ts';

/*
 * Two processes on one folder: one deletes a manifest, the other moves the tag that points to it. Whichever call of the
 * deletion the move comes ahead of, it was answered, so the tag is there at the end:
 *
 *   looks: the tag points to `old` │ [move] looks again, at another manifest, and leaves it
 *   takes the link away            │ [move] what was taken is put back, unless something is there again
 *   takes it away │ [move] there is a link, newer than what was taken
 *   removes the empty folders      │ [move] they are made again
 */
test.each(['all', 'some'])(
  'a tag that another process moves while its old manifest is deleted stays moved, also where a power cut takes %s',
  async (lost) => {
    const [old, moved] = [image({ seed: 1 }), image({ seed: 2 })];
    let meetings = 0;
    for (let at = 1; ; at += 1) {
      const files = new FaultyFileSystem({ seed: at });
      const [one, other] = [await storeOn(files), await storeOn(files)];
      await pushImage(one, 'a', old, 'latest');
      await pushImage(one, 'a', moved, 'there');
      const begun = files.calls;
      let met = false;
      files.before(async ({ number }) => {
        if (met || number !== begun + at) return undefined;
        met = true;
        await other.manifests.put('a', 'latest', moved.manifest.bytes);
        return undefined;
      });
      await one.manifests.delete('a', old.manifest.digest);
      if (!met) break;
      meetings += 1;
      for (const when of ['at once', 'after a power cut']) {
        await using store = await storeOn(when === 'at once' ? files : files.crash({ loseAll: lost === 'all' }));
        const { digest } = await store.manifests.get('a', 'latest').catch(() => ({ digest: 'none' }));
        expect(digest, `call ${at}, ${when}`).toBe(moved.manifest.digest);
        expect((await store.tags.list('a')).tags).toEqual(['latest', 'there']);
      }
    }
    expect(meetings).toBeGreaterThan(10);
  },
);

test('a deleted manifest leaves nothing of its tags', async () => {
  const files = new FaultyFileSystem();
  await using store = await storeOn(files);
  const [one, two] = [image({ seed: 1 }), image({ seed: 2 })];
  await pushImage(store, 'a', two, 'kept');
  await pushImage(store, 'a', two, 'tag');
  await pushImage(store, 'a', one, 'tag');
  await store.manifests.delete('a', one.manifest.digest);
  const folder = `${root}/docker/registry/v2/repositories/a/_manifests/tags`;
  expect(await files.readdir(folder)).toEqual(['kept']);
});
