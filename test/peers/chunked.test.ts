import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
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

test('of a layer in zstd:chunked, podman pulls the files that it has not, in one request', async () => {
  await using recorder = await startRecorder(shiplog.host);
  await podman.trust(recorder.host);
  const numbers = random(1);
  const files = Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`file-${at}`, numbers.bytes(20_000)]));
  await push(`${shiplog.host}/chunked:1`, files);
  const changed = { ...files, 'file-2': numbers.bytes(20_000), 'file-7': numbers.bytes(20_000) };
  await push(`${shiplog.host}/chunked:2`, changed);

  await podman.cli(['pull', `${recorder.host}/chunked:1`]);
  const before = recorder.requests.length;
  await podman.cli(['pull', `${recorder.host}/chunked:2`]);
  const { layers } = JSON.parse(await (await shiplog.fetch('/v2/chunked/manifests/2')).text());
  const ofLayer = recorder.requests.slice(before).filter(({ path }) => path.endsWith(layers[0].digest));
  const matching = (range: RegExp, type: RegExp): unknown =>
    expect.objectContaining({ status: 206, range: expect.stringMatching(range), type: expect.stringMatching(type) });
  expect(ofLayer).toEqual([
    // The list of files at the layer's end, then the two that are new.
    matching(/^bytes=\d+-\d+$/, /^application\/octet-stream$/),
    matching(/^bytes=\d+-\d+,\d+-\d+$/, /^multipart\/byteranges; boundary=/),
  ]);

  const folder = (await podman.cli(['image', 'mount', `${recorder.host}/chunked:2`])).trim();
  try {
    for (const [name, bytes] of Object.entries(changed)) {
      expect(bytes.equals(await readFile(join(folder, name))), name).toBe(true);
    }
  } finally {
    await podman.cli(['image', 'umount', '--all']);
  }
});
