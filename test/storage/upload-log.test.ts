import { expect, test } from 'vitest';
import { beginLog, readLog, UploadLog } from '../../storage/drivers/upload-log.ts';
import { FaultyFileSystem } from '../support/faulty-fs.ts';
import { body } from '../support/images.ts';
import { random } from '../support/random.ts';
import { storeOn } from './power-cut.ts';

const path = '/u';

async function lines(files: FaultyFileSystem, ...texts: string[]): Promise<void> {
  const handle = await files.openToAdd(path);
  await handle.writev(texts.map((text) => Buffer.from(text)));
  await handle.close();
}

test('a log has a line for how the upload began, for each lease, and for what each left', async () => {
  const files = new FaultyFileSystem();
  await beginLog(files, path, 'a note');
  const taken = await UploadLog.take(files, path, 'me');
  expect(taken).toMatchObject({ lease: 1, before: { state: { generation: 0, offset: 0, note: 'a note' } } });
  await taken?.log.leave({ offset: 3, file: 'u.data.1', note: 'another' });
  await taken?.log.close();
  expect(String(files.files().get(path))).toBe(
    [
      '\n{"generation":0,"offset":0,"note":"a note"}\n',
      '\n{"lease":1,"by":"me"}\n',
      '\n{"generation":1,"offset":3,"file":"u.data.1","note":"another"}\n',
    ].join(''),
  );
  expect(await readLog(files, path)).toEqual({
    state: { generation: 1, offset: 3, file: 'u.data.1', note: 'another' },
    taken: { lease: 1, by: 'me' },
  });
});

test('what a lease leaves once a later one was taken does not count', async () => {
  const files = new FaultyFileSystem();
  await beginLog(files, path, 'first');
  await lines(files, '{"lease":1,"by":"a"}\n', '{"lease":2,"by":"b"}\n');
  await lines(files, '{"generation":1,"offset":7,"file":"u.data.1","note":"late"}\n');
  expect(await readLog(files, path)).toEqual({
    state: { generation: 0, offset: 0, note: 'first' },
    taken: { lease: 2, by: 'b' },
  });
});

test('a lease that two took belongs to the first of them', async () => {
  const files = new FaultyFileSystem();
  await beginLog(files, path, 'first');
  await lines(files, '{"lease":1,"by":"a"}\n', '{"lease":1,"by":"b"}\n');
  expect((await readLog(files, path))?.taken).toEqual({ lease: 1, by: 'a' });
});

test.each([
  '{"generation":1,"off',
  '\0\0\0\0',
  '{"generation":1}',
  '7',
  '{"generation":1,"offset":1,"note":"","file":"../x"}',
])('a line like %j says nothing', async (torn) => {
  const files = new FaultyFileSystem();
  await beginLog(files, path, 'first');
  await lines(files, torn);
  const taken = await UploadLog.take(files, path, 'me');
  expect(taken?.lease).toBe(1);
  expect((await readLog(files, path))?.state.note).toBe('first');
});

test('of a long log the end is read', async () => {
  const files = new FaultyFileSystem();
  await beginLog(files, path, '');
  let read = 0;
  files.before(({ op, length }) => {
    if (op === 'read') read = Math.max(read, length);
  });
  for (let lease = 1; lease <= 200; lease += 1) {
    const taken = await UploadLog.take(files, path, 'me');
    expect(taken?.lease).toBe(lease);
    await taken?.log.leave({ offset: lease, file: 'u.data.1', note: 'x'.repeat(300) });
    await taken?.log.close();
  }
  expect(files.files().get(path)?.length).toBeGreaterThan(60_000);
  expect(read).toBeLessThanOrEqual(16 * 1024);
});

test('leases that leave nothing, however many, are counted', async () => {
  const files = new FaultyFileSystem();
  await beginLog(files, path, 'first');
  for (let lease = 1; lease <= 1000; lease += 1) {
    const taken = await UploadLog.take(files, path, 'whoever takes it');
    expect(taken?.lease).toBe(lease);
    await taken?.log.close();
  }
  expect((await readLog(files, path))?.state.note).toBe('first');
});

test('a request whose upload another process ends meanwhile is told that there is none', async () => {
  const files = new FaultyFileSystem();
  const [one, other] = [await storeOn(files), await storeOn(files)];
  const { id } = await one.uploads.create('a');
  const ending = async function* (): AsyncGenerator<Uint8Array, void, void> {
    yield* body(random(1).bytes(1000));
    await other.uploads.cancel('a', id);
  };
  await expect(one.uploads.append('a', id, ending())).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
});
