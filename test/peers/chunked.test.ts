import { afterAll, beforeAll, expect, test } from 'vitest';
import { random } from '../support/random.ts';
import { makeLayout } from './support/layout.ts';
import { makePodman, type Podman } from './support/podman.ts';
import { startRecorder } from './support/recorder.ts';
import { type Shiplog, startShiplog } from './support/shiplog.ts';
import { skopeo } from './support/skopeo.ts';

let shiplog: Shiplog;
let podman: Podman;
beforeAll(async () => {
  shiplog = await startShiplog('open');
  podman = await makePodman('podman', 'overlay');
});
afterAll(async () => {
  await podman[Symbol.asyncDispose]();
  await shiplog[Symbol.asyncDispose]();
});

/** Pushes one layer of ten files, compressed so that each can be fetched alone. */
async function push(image: string, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  await using layout = await makeLayout();
  await layout.name(await layout.image([await layout.layer(files)]), 'image');
  const format = ['--format=oci', '--dest-compress-format=zstd:chunked'];
  await skopeo('copy', ...format, `oci:${layout.folder}:image`, `docker://${image}`);
}

test('of a layer in zstd:chunked, podman pulls in one request the files that it has not, wherever they lie', async () => {
  await using recorder = await startRecorder(shiplog.host);
  await podman.trust(recorder.host);
  const numbers = random(1);
  const files = Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`file-${at}`, numbers.bytes(20_000)]));
  await push(`${shiplog.host}/chunked:1`, files);
  await push(`${shiplog.host}/chunked:2`, {
    ...files,
    'file-2': numbers.bytes(20_000),
    'file-7': numbers.bytes(20_000),
  });

  await podman.cli(['pull', `${recorder.host}/chunked:1`]);
  const before = recorder.requests.length;
  await podman.cli(['pull', `${recorder.host}/chunked:2`]);
  const ranges = recorder.requests.slice(before).filter(({ range }) => range?.includes(',') === true);
  expect(ranges).toEqual([
    expect.objectContaining({
      method: 'GET',
      status: 206,
      type: expect.stringMatching(/^multipart\/byteranges; boundary=/),
    }),
  ]);
});
