import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../src/cli/run.ts';
import { parseDigest } from '../../storage/digest.ts';
import { blobKey } from '../../storage/layout.ts';
import { type Outcome, shiplog } from '../support/command.ts';
import { blob, descriptor, image, index, pushBlob, pushImage, sha512, type TestBlob } from '../support/images.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { untar } from '../support/tars.ts';

const folder = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
afterAll(() => rm(folder, { recursive: true }));

let registry: Registry;
let env: Record<string, string>;
beforeEach(async () => {
  registry = await startRegistry();
  env = { SHIPLOG_DATA: folder, SHIPLOG_URL: `http://127.0.0.1:${registry.port}` };
  return () => registry[Symbol.asyncDispose]();
});

/** Exports to stdout. */
async function runExport(
  args: readonly string[],
  isTTY = false,
): Promise<Omit<Outcome, 'stdout'> & { archive: Buffer }> {
  const [stdout, stderr] = [Object.assign(new PassThrough(), { isTTY }), new PassThrough()];
  const printed = Promise.all([buffer(stdout), text(stderr)]);
  const code = await run({ args: ['export', ...args], env, stdin: Readable.from([]), stdout, stderr });
  stdout.end();
  stderr.end();
  const [archive, err] = await printed;
  return { code, archive, stderr: err };
}

async function putManifest(name: string, reference: string, { bytes, mediaType }: TestBlob): Promise<void> {
  await registry.store.manifests.put(name, reference, bytes, { contentType: mediaType });
}

const path = ({ digest }: { digest: string }): string => `blobs/${digest.replace(':', '/')}`;
const one = image({ seed: 1 });
const ociManifest = 'application/vnd.oci.image.manifest.v1+json';

/** Two images for platforms of which the first is this machine's, and their index, which is tagged. */
async function pushIndex(name: string, tag: string): Promise<{ top: TestBlob; parts: TestBlob[] }> {
  const here = process.arch === 'x64' ? 'amd64' : process.arch;
  const images = [image({ seed: 5 }), image({ seed: 6, kind: 'docker' })];
  for (const part of images) await pushImage(registry.store, name, part);
  const manifests = images.map(({ manifest }, place) => ({
    ...descriptor(manifest),
    platform: { os: 'linux', architecture: place === 0 ? here : 's390x', ...(place === 1 && { variant: 'v1' }) },
  }));
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const top = blob(mediaType, `${JSON.stringify({ schemaVersion: 2, mediaType, manifests }, null, 3)}\n`);
  await putManifest(name, tag, top);
  return { top, parts: images.flatMap(({ manifest, config, layers }) => [manifest, config, ...layers]) };
}

test('an image is an OCI layout of its very bytes, and Docker’s archive too; the index comes last', async () => {
  await pushImage(registry.store, 'team/web', one, '1.4');
  const { code, archive, stderr } = await runExport(['team/web:1.4']);
  expect([code, stderr]).toEqual([0, '']);
  const files = await untar(archive);
  for (const part of [one.manifest, one.config, ...one.layers]) expect(files.get(path(part))).toEqual(part.bytes);
  expect([...files.keys()].filter((name) => !name.startsWith('blobs/'))).toEqual([
    'oci-layout',
    'index.json',
    'manifest.json',
  ]);
  expect([...files.keys()].slice(-2)).toEqual(['index.json', 'manifest.json']);
  expect(files.size).toBe(7);
  const parse = (name: string): unknown => JSON.parse(String(files.get(name)));
  expect(parse('oci-layout')).toEqual({ imageLayoutVersion: '1.0.0' });
  expect(parse('index.json')).toEqual({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        ...descriptor(one.manifest),
        annotations: {
          'org.opencontainers.image.ref.name': '1.4',
          'io.containerd.image.name': 'docker.io/team/web:1.4',
        },
      },
    ],
  });
  expect(parse('manifest.json')).toEqual([
    { Config: path(one.config), RepoTags: ['team/web:1.4'], Layers: one.layers.map(path) },
  ]);
});

test('an image makes the same archive each time, by its digest one without a name, in a file that is whole', async () => {
  await pushImage(registry.store, 'team/web', one, '1.4');
  const { archive } = await runExport(['team/web:1.4']);
  expect((await runExport(['team/web:1.4'])).archive).toEqual(archive);
  const file = join(folder, 'image.tar');
  await writeFile(file, 'what was there');
  expect((await runExport(['team/web:1.4', '-o', file])).archive.length).toBe(0);
  expect(await readFile(file)).toEqual(archive);
  expect(await readdir(folder)).toEqual(['image.tar']);

  const files = await untar((await runExport([`team/web@${one.manifest.digest}`])).archive);
  expect(JSON.parse(String(files.get('index.json'))).manifests).toEqual([descriptor(one.manifest)]);
  expect(JSON.parse(String(files.get('manifest.json')))).toMatchObject([{ RepoTags: null }]);
});

describe('an index', () => {
  test('is exported with all its images; docker load gets that of this machine', async () => {
    const { top, parts } = await pushIndex('team/all', '1');
    const files = await untar((await runExport(['team/all:1'])).archive);
    for (const part of [top, ...parts]) expect(files.get(path(part))).toEqual(part.bytes);
    expect(files.size).toBe(parts.length + 4);
    expect(JSON.parse(String(files.get('index.json'))).manifests).toMatchObject([descriptor(top)]);
    expect(JSON.parse(String(files.get('manifest.json')))).toMatchObject([{ Config: path(image({ seed: 5 }).config) }]);
  });

  test('one of its platforms is exported alone', async () => {
    await pushIndex('team/all', '1');
    const { manifest, config, layers } = image({ seed: 6, kind: 'docker' });
    for (const platform of ['linux/s390x', 'linux/s390x/v1']) {
      const files = await untar((await runExport(['team/all:1', '--platform', platform])).archive);
      expect([...files.keys()].filter((name) => name.startsWith('blobs/')).toSorted()).toEqual(
        [manifest, config, ...layers].map(path).toSorted(),
      );
      expect(JSON.parse(String(files.get('manifest.json')))).toMatchObject([{ Config: path(config) }]);
    }
    const { code, stderr } = await runExport(['team/all:1', '--platform', 'linux/s390x/v2']);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/no image for linux\/s390x\/v2; there is: linux\/\w+, linux/),
    ]);
  });

  test('there and back is byte for byte the same, with indexes in it and sha512', async () => {
    const { top } = await pushIndex('from/here', '1');
    const layer = blob('application/vnd.oci.image.layer.v1.tar', 'content');
    const strong = { ...layer, digest: sha512(layer.bytes) };
    const manifest = blob(ociManifest, {
      schemaVersion: 2,
      config: descriptor(one.config),
      layers: [strong, strong].map(descriptor),
    });
    await registry.blob('from/here', one.config.bytes);
    await pushBlob(registry.store, 'from/here', strong);
    await putManifest('from/here', manifest.digest, manifest);
    const outer = index([
      { manifest: top, config: one.config, layers: [] },
      { manifest, config: one.config, layers: [] },
    ]);
    await putManifest('from/here', '2', outer);
    const file = join(folder, 'there.tar');
    expect(await runExport(['from/here:2', '-o', file])).toMatchObject({ code: 0 });

    await using elsewhere = await startRegistry();
    env['SHIPLOG_URL'] = `http://127.0.0.1:${elsewhere.port}`;
    expect(await shiplog(['import', '-i', file], env)).toMatchObject({ code: 0, stderr: '' });
    expect((await runExport(['from/here:2'])).archive).toEqual(await readFile(file));
    await rm(file);
  });
});

describe('docker load', () => {
  const layerOf = (mediaType: string): TestBlob => blob(mediaType, `of ${mediaType}`);

  async function pushWith(layers: readonly object[], config = one.config): Promise<void> {
    await registry.blob('odd', config.bytes);
    await putManifest('odd', '1', blob(ociManifest, { schemaVersion: 2, config: descriptor(config), layers }));
  }

  test('of layers of zstd is said to need a newer Docker', async () => {
    const layer = layerOf('application/vnd.oci.image.layer.v1.tar+zstd');
    await pushBlob(registry.store, 'odd', layer);
    await pushWith([descriptor(layer)]);
    expect(await runExport(['odd:1'])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('from Docker 23.0 on'),
    });
  });

  test('cannot be of a layer that is to be had elsewhere, nor of an artifact, which is told', async () => {
    const foreign = layerOf('application/vnd.oci.image.layer.nondistributable.v1.tar');
    await pushWith([{ ...descriptor(foreign), urls: ['https://else\u001bwhere'] }]);
    const { code, stderr, archive } = await runExport(['odd:1']);
    expect([code, stderr]).toEqual([
      0,
      `the layer ${foreign.digest} is left out: it is to be had from https://else\\x1bwhere\n` +
        'docker load does not take it: a layer is left out\n',
    ]);
    expect((await untar(archive)).has('manifest.json')).toBe(false);

    // One that the registry has is no different from others.
    await pushBlob(registry.store, 'odd', foreign);
    expect(await runExport(['odd:1'])).toMatchObject({ code: 0, stderr: '' });

    await pushWith([], blob('application/vnd.chart', '{}'));
    expect((await runExport(['odd:1'])).stderr).toContain('it is no image that can run');
  });

  test('has nothing for this machine where an index has only other platforms, which is told', async () => {
    const images = [image({ seed: 7 }), image({ seed: 8 })];
    for (const part of images) await pushImage(registry.store, 'odd', part);
    await putManifest('odd', '1', index(images));
    expect((await runExport(['odd:1'])).stderr).toMatch(
      /docker load does not take it: it has no image for linux\/\w+; --platform/,
    );
  });
});

describe('what is not whole', () => {
  const [layer = one.config] = one.layers;

  test.each([
    ['of another content', (bytes: Buffer) => Buffer.alloc(bytes.length), /is damaged: its content is another/],
    ['shorter', (bytes: Buffer) => bytes.subarray(1), /has \d+ bytes, and should have 1500/],
    ['longer', (bytes: Buffer) => Buffer.concat([bytes, bytes]), /has more than the 1500 bytes/],
  ])(
    'a layer that is %s ends the export: no file, and no archive that anyone would take',
    async (_what, damage, stderr) => {
      await pushImage(registry.store, 'team/web', one, '1.4');
      const { disk } = registry;
      const handle = await disk.open(`/registry/${blobKey(parseDigest(layer.digest))}`, 'w');
      const damaged = damage(layer.bytes);
      await handle.write(damaged, 0, damaged.length, 0);
      await handle.close();
      const target = join(folder, 'damaged');
      await mkdir(target, { recursive: true });
      const outcome = await runExport(['team/web:1.4', '-o', join(target, 'image.tar')]);
      expect([outcome.code, outcome.stderr]).toEqual([1, expect.stringMatching(stderr)]);
      expect(await readdir(target)).toEqual([]);
      const { code, archive } = await runExport(['team/web:1.4']);
      expect(code).toBe(1);
      expect(archive.includes('index.json')).toBe(false);
    },
  );

  test('a blob that the registry lost is named', async () => {
    await pushImage(registry.store, 'team/web', one, '1.4');
    await registry.store.blobs.delete('team/web', layer.digest);
    const { code, stderr } = await runExport(['team/web:1.4']);
    expect([code, stderr]).toEqual([
      1,
      `shiplog: team/web lacks ${layer.digest}, which ${one.manifest.digest} is made of\n`,
    ]);
  });
});

test.each<[what: string, args: string[], code: number, stderr: RegExp]>([
  ['what is not there', ['team/web:none'], 1, /there is no team\/web:none/],
  ['a repository', ['team/web'], 2, /as REPO:TAG or REPO@DIGEST/],
  ['a platform that is none', ['team/web:1', '--platform', 'arm'], 2, /expected a platform such as/],
  ['a device', ['team/web:1', '-o', '/dev/null'], 1, /\/dev\/null is no file/],
])('%s', async (_what, args, code, stderr) => {
  expect(await runExport(args)).toMatchObject({ code, stderr: expect.stringMatching(stderr) });
});

test('a terminal gets no archive', async () => {
  await pushImage(registry.store, 'team/web', one, '1.4');
  const { code, archive, stderr } = await runExport(['team/web:1.4'], true);
  expect([code, archive.length, stderr]).toEqual([2, 0, expect.stringContaining('nothing for a terminal')]);
});

test('an image of one platform is exported for that platform only', async () => {
  await pushImage(registry.store, 'team/web', one, '1.4');
  expect((await runExport(['team/web:1.4', '--platform', 'linux/amd64'])).code).toBe(0);
  expect((await runExport(['team/web:1.4', '--platform', 'linux/arm64'])).stderr).toContain(
    'it is an image for linux/amd64, not for linux/arm64',
  );
});
