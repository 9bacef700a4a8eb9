import { expect, test } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { fault, FaultyFileSystem } from '../support/faulty-fs.ts';
import { leftoversOf } from './backends.ts';
import { root } from './power-cut.ts';

const content = Buffer.from('content');

/** A tree with a key, and with another one in the place that it is to move to. */
async function tree(seed = 1): Promise<{ files: FaultyFileSystem; move: () => Promise<boolean> }> {
  const files = new FaultyFileSystem({ seed });
  const driver = await openDisk({ root, fileSystem: files });
  await driver.put('from/here', content);
  await driver.put('to/there/key', Buffer.from('other'));
  return { files, move: () => driver.move('from/here', 'to/there/key') };
}

/** Which of the two places has the content. */
function places(files: FaultyFileSystem): string[] {
  const found = files.files();
  return ['from/here', 'to/there/key'].filter((key) => found.get(`${root}/${key}`)?.equals(content));
}

test.each(['all', 'some'])(
  'a power cut in a move that takes %s of what was not synced leaves its content',
  async (lost) => {
    for (let stop = 1; ; stop += 1) {
      const { files, move } = await tree(stop);
      const begun = files.calls;
      const cut: { after?: FaultyFileSystem } = {};
      files.before(({ number }) => {
        if (number === begun + stop) cut.after = files.crash({ loseAll: lost === 'all' });
      });
      const moved = await move().catch(() => undefined);
      if (cut.after === undefined) break;
      expect(moved).toBeUndefined();
      expect(places(cut.after).length, `before call ${stop}`).toBeGreaterThan(0);
    }
  },
);

test('a power cut after a move finds it done', async () => {
  const { files, move } = await tree();
  expect(await move()).toBe(true);
  expect(places(files.crash({ loseAll: true }))).toEqual(['to/there/key']);
});

test('without the sync of the folder that it leaves, a power cut would bring it back', async () => {
  const { files, move } = await tree();
  files.before(({ op, path }) => (op === 'dirsync' && path === `${root}/from` ? 'ignore' : undefined));
  await move();
  expect(places(files.crash({ loseAll: true }))).toContain('from/here');
});

test('a call that fails leaves the content in one of the places, and another try succeeds', async () => {
  for (const code of ['EIO', 'ENOSPC']) {
    for (let stop = 1; ; stop += 1) {
      const { files, move } = await tree();
      const begun = files.calls;
      let failed = false;
      files.before(({ op, path, number }) => {
        if (number !== begun + stop) return undefined;
        failed = true;
        return fault(code, op, path);
      });
      const error: unknown = await move().then(
        () => undefined,
        (error: unknown) => error,
      );
      if (!failed) break;
      if (error !== undefined) expect(error).toMatchObject({ code: code === 'EIO' ? 'EIO' : 'NO_SPACE' });
      expect(places(files)).toHaveLength(1);
      files.before(undefined);
      await move();
      expect(places(files)).toEqual(['to/there/key']);
      expect(leftoversOf(files)).toEqual([]);
    }
  }
});
