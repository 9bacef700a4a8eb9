import { expect, test } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { openStore } from '../../storage/store.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { shiplog } from '../support/command.ts';
import { image, pushBlob, pushImage, blob } from '../support/images.ts';

test('shiplog du prints what each repository takes alone and with others, and the sum, beside a store in use', async () => {
  const data = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
  try {
    const env = { SHIPLOG_DATA: data };
    await using store = await openStore({
      driver: await openDisk({ root: join(data, 'registry') }),
      indexMaxAge: 60_000,
    });
    for (const name of ['one', 'two']) await pushImage(store, name, image({ layerSizes: [500_000] }), '1');
    await pushBlob(store, 'two', blob('x', 'y'.repeat(2048)));
    const gone = blob('x', 'z'.repeat(1024));
    await pushBlob(store, 'two', gone);
    await store.blobs.delete('two', gone.digest);
    const { id } = await store.uploads.create('two');
    await store.uploads.append('two', id, Readable.from([Buffer.alloc(100_000)]));

    const { code, stdout, stderr } = await shiplog(['du'], env);
    expect([code, stderr]).toEqual([0, '']);
    const [heading, one, two, empty, sum] = stdout.split('\n');
    expect(heading?.trim().split(/ {2,}/)).toEqual(['OWN', 'SHARED', 'TOGETHER', 'REPOSITORY']);
    expect(one?.trim().split(/ {2,}/)).toEqual(['0 B', '488.9 KiB', '488.9 KiB', 'one']);
    expect(two?.trim().split(/ {2,}/)).toEqual(['2.0 KiB', '488.9 KiB', '490.9 KiB', 'two']);
    expect(empty).toBe('');
    expect(sum).toMatch(
      /^491\.9 KiB in blobs, each counted once, of which 1\.0 KiB belong to no repository; 98\.\d KiB in unfinished uploads; /,
    );

    expect((await shiplog(['du', 'two', '--json'], env)).stdout).toMatch(
      /^\{"repository":"two","own":2048,"shared":\d{6}\}\n$/,
    );
    const lines = (await shiplog(['du', '--json'], env)).stdout.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { repository: 'one', own: 0 },
      { repository: 'two', own: 2048 },
      { blobs: expect.any(Number), unreferenced: 1024, uploads: expect.any(Number), other: expect.any(Number) },
    ]);
    expect(await shiplog(['du', 'three'], env)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no repository three'),
    });
    expect(await shiplog(['du', '..'], env)).toMatchObject({ code: 2 });
  } finally {
    await rm(data, { recursive: true });
  }
});
