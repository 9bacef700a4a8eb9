import { describe, expect, test } from 'vitest';
import { fault, FaultyFileSystem } from './faulty-fs.ts';

async function write(fs: FaultyFileSystem, path: string, text: string, sync: boolean): Promise<void> {
  await using file = await fs.open(path, 'w');
  await file.writev([Buffer.from(text)], 0);
  if (sync) await file.datasync();
}

async function syncDirectory(fs: FaultyFileSystem, path: string): Promise<void> {
  await using directory = await fs.open(path, 'r');
  await directory.sync();
}

const names = (fs: FaultyFileSystem): string[] => [...fs.files().keys()];
const text = (fs: FaultyFileSystem, path: string): string | undefined => fs.files().get(path)?.toString();

describe('a power cut in the worst case', () => {
  test('loses a file whose directory was not synced, and keeps one whose directory was', async () => {
    const fs = new FaultyFileSystem();
    await write(fs, '/kept', 'a', true);
    await syncDirectory(fs, '/');
    await write(fs, '/lost', 'b', true);
    expect(names(fs.crash({ loseAll: true }))).toEqual(['/kept']);
  });

  test('empties a file whose name was synced and whose data was not', async () => {
    const fs = new FaultyFileSystem();
    await write(fs, '/file', 'a', false);
    await syncDirectory(fs, '/');
    expect(text(fs.crash({ loseAll: true }), '/file')).toBe('');
  });

  test('undoes a rename that was not synced, and keeps one that was', async () => {
    const fs = new FaultyFileSystem();
    await fs.mkdir('/a/b', { recursive: true });
    for (const path of ['/', '/a', '/a/b']) await syncDirectory(fs, path);
    await write(fs, '/a/x', 'x', true);
    await syncDirectory(fs, '/a');
    await fs.rename('/a/x', '/a/b/y');
    const cut = fs.crash({ loseAll: true });
    expect(names(cut)).toEqual(['/a/x']);
    await cut.rename('/a/x', '/a/b/y');
    await syncDirectory(cut, '/a/b');
    expect(names(cut.crash({ loseAll: true }))).toContain('/a/b/y');
  });

  test('loses what was written after the sync, or before a sync that failed, even if a later one succeeds', async () => {
    const fs = new FaultyFileSystem();
    await write(fs, '/file', 'one', true);
    await syncDirectory(fs, '/');
    const file = await fs.open('/file', 'r+');
    await file.writev([Buffer.from('two')], 3);
    fs.before(({ op }) => (op === 'datasync' ? fault('EIO', op, '/file') : undefined));
    await expect(file.datasync()).rejects.toMatchObject({ code: 'EIO' });
    fs.before(undefined);
    await file.datasync();
    expect(text(fs, '/file')).toBe('onetwo');
    fs.before(undefined);
    expect(text(fs.crash({ loseAll: true }), '/file')).toBe('one');
    await expect(file.datasync()).rejects.toMatchObject({ code: 'EIO' });
  });
});

test('over many seeds a power cut keeps, loses and tears what was not synced', async () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 200; seed += 1) {
    const fs = new FaultyFileSystem({ seed });
    await write(fs, '/file', 'a'.repeat(1024), false);
    const left = text(fs.crash(), '/file');
    if (left === undefined) seen.add('no file');
    else if (left === '') seen.add('empty');
    else seen.add(/^a+$/.test(left) ? 'whole' : 'torn');
  }
  expect([...seen].toSorted()).toEqual(['empty', 'no file', 'torn', 'whole']);
});

test('the end of the process alone loses nothing, and its handles are dead', async () => {
  const fs = new FaultyFileSystem();
  const file = await fs.open('/file', 'w');
  await file.writev([Buffer.from('a')], 0);
  const next = fs.kill();
  expect(text(next, '/file')).toBe('a');
  await expect(file.writev([Buffer.from('b')], 0)).rejects.toMatchObject({ code: 'EIO' });
});
