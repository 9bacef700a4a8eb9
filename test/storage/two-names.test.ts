import { beforeEach, describe, expect, test } from 'vitest';
import type { Store } from '../../storage/store.ts';
import { FaultyFileSystem } from '../support/faulty-fs.ts';
import { blob, body, pushBlob } from '../support/images.ts';
import { root, storeOn } from './power-cut.ts';

/*
 * A blob's file is renamed out of the uploads' folder. A power cut may keep the new name of it and the old one too: then
 * what is done to the upload is done to the blob.
 */
const content = blob('application/octet-stream', 'the content of a blob');
const uploads = `${root}/docker/registry/v2/_shiplog/uploads`;

describe('an upload whose data is a blob as well, after a power cut', () => {
  let files: FaultyFileSystem;
  let store: Store;
  let id: string;
  let place: string;

  beforeEach(async () => {
    files = new FaultyFileSystem();
    store = await storeOn(files);
    ({ id } = await store.uploads.create('app'));
    await pushBlob(store, 'app', content);
    place = [...files.files().keys()].find((path) => path.endsWith('/data')) ?? '';
  });

  const stored = (): string => String(files.files().get(place));

  test('is over, and is swept', async () => {
    await store.uploads.append('app', id, body(content.bytes.subarray(0, 5)));
    await files.unlink(`${uploads}/${id}.data.1`);
    await files.link(place, `${uploads}/${id}.data.1`);
    const restarted = await storeOn(files.kill());
    await expect(restarted.uploads.append('app', id, body(Buffer.from('other')))).rejects.toMatchObject({
      code: 'UPLOAD_UNKNOWN',
    });
    expect(stored()).toBe(String(content.bytes));
    expect([...files.files().keys()].filter((path) => path.startsWith(uploads))).toEqual([]);
  });

  test('takes another file, where nothing of it was kept but that name', async () => {
    await files.link(place, `${uploads}/${id}.data.1`);
    const restarted = await storeOn(files.kill());
    await restarted.uploads.append('app', id, body(Buffer.from('other')));
    expect(stored()).toBe(String(content.bytes));
  });
});
