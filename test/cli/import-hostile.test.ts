import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { blobEntry, imageEntries, indexEntries, saved, savedImage } from '../support/archives.ts';
import { type Outcome, shiplog } from '../support/command.ts';
import { blob, descriptor, image, index, type TestBlob } from '../support/images.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { tar, type TestEntry } from '../support/tars.ts';

const one = image({ seed: 1 });
const other = image({ seed: 2 });
const [layer = one.config] = one.layers;
const tops = indexEntries([one.manifest]);

/** Layout of an image, some of whose files are others. */
function layout(...changed: readonly TestEntry[]): Promise<Buffer> {
  const names = new Set(changed.map(({ name }) => name));
  const entries = [...imageEntries(one), ...tops].filter(({ name }) => !names.has(name));
  return tar([...entries, ...changed]);
}

function layoutWithout(...left: readonly TestBlob[]): Promise<Buffer> {
  const names = new Set(left.map((part) => blobEntry(part).name));
  return tar([...imageEntries(one), ...tops].filter(({ name }) => !names.has(name)));
}

/** What `docker save` wrote, with something else in its manifest.json. */
async function docker(line: object, ...more: readonly TestEntry[]): Promise<Buffer> {
  const image = await savedImage(null, ['content']);
  const manifest = { name: 'manifest.json', content: JSON.stringify([{ ...image.line, ...line }]) };
  return tar([...image.entries, ...more, manifest]);
}

/** An archive of so many empty files, made of one header: its name and checksum (POSIX, "ustar Interchange Format"). */
async function emptyFiles(count: number): Promise<Buffer> {
  const header = (await tar([{ name: '0'.repeat(8), content: '' }])).subarray(0, 512);
  const headers = Array.from({ length: count }, (_, place) => {
    const copy = Buffer.from(header);
    copy.write(String(place).padStart(8, '0'));
    copy.fill(' ', 148, 156);
    const sum = copy.reduce((sum, byte) => sum + byte, 0);
    copy.write(`${sum.toString(8).padStart(6, '0')}\0`, 148);
    return copy;
  });
  return Buffer.concat(headers);
}

const rotten: TestEntry = { ...blobEntry(layer), content: Buffer.alloc(layer.bytes.length) };
const { name: layerName } = blobEntry(layer);
const large = ' '.repeat(4 * 1024 * 1024 + 1);

const hostile: [what: string, archive: () => Promise<Uint8Array>, stderr: RegExp][] = [
  ['nothing', async () => Buffer.alloc(0), /nothing came to read: the archive is empty/],
  ['no tar', async () => Buffer.alloc(2000, 'x'), /it is no tar archive, nor one that gzip has compressed/],
  ['less than a tar can be', async () => Buffer.from('x'), /it is no tar archive/],
  ['no tar in a gzip', async () => gzipSync(Buffer.alloc(2000, 'x')), /it is no tar archive/],
  ['a tar of nothing', () => tar([]), /neither index\.json nor manifest\.json/],
  ['no images', () => tar([{ name: 'README', content: 'x' }]), /neither index\.json nor manifest\.json/],
  ['an archive that broke off', async () => (await layout()).subarray(0, 3000), /cannot be read: Unexpected end/],
  ['a broken gzip', async () => gzipSync(await layout()).subarray(0, 500), /cannot be read: unexpected end of file/],
  ['a layer that is not what its name says', () => layout(rotten), /answers 400: .*sha256/],
  ['a layer that is absent', () => layoutWithout(layer), new RegExp(`lacks ${layer.digest}`)],
  ['a config that is absent', () => layoutWithout(one.config), new RegExp(`lacks ${one.config.digest}`)],
  ['a manifest that is absent', () => layoutWithout(one.manifest), new RegExp(`lacks ${one.manifest.digest}`)],
  ['a layer of another length', () => layout({ name: layerName, content: 'x' }), /has 1 bytes in the archive, and/],
  [
    'a manifest that is not what its name says',
    () => layout({ ...blobEntry(one.manifest), content: Buffer.alloc(one.manifest.bytes.length) }),
    /is damaged: its content is another/,
  ],
  [
    'an image of an index that is damaged beside a whole one',
    () =>
      tar([
        ...[index([one, other]), other.manifest, other.config, ...other.layers].map(blobEntry),
        ...imageEntries(one).map((entry) => (entry.name === layerName ? rotten : entry)),
        ...indexEntries([index([one, other])]),
      ]),
    /answers 400: .*sha256/,
  ],
  [
    'an index of which two images are there, and one is not',
    () => {
      const top = index([one, other, image({ seed: 3 })]);
      return tar([blobEntry(top), ...imageEntries(one), ...imageEntries(other), ...indexEntries([top])]);
    },
    /archive lacks sha256:/,
  ],
  [
    'an index of which one image is absent, one damaged and one whole',
    () => {
      const top = index([image({ seed: 3 }), other, one]);
      const damaged = { ...blobEntry(other.manifest), content: Buffer.alloc(other.manifest.bytes.length) };
      return tar([blobEntry(top), damaged, ...imageEntries(one), ...indexEntries([top])]);
    },
    /is damaged: its content is another/,
  ],
  ['two indexes', () => tar([...imageEntries(one), ...tops, ...tops]), /has "index\.json" twice/],
  ['two indexes of which one begins with ./', () => tar([...tops, { name: './index.json', content: '{}' }]), /twice/],
  ['a name that leads out', () => layout({ name: '../index.json', content: '{}' }), /leads out of it/],
  ['a name that leads out by a detour', () => layout({ name: 'blobs/../../x', content: '{}' }), /leads out of it/],
  ['an absolute name', () => layout({ name: '/etc/passwd', content: 'x' }), /leads out of it/],
  [
    'a link that leads out',
    () => layout({ name: layerName, type: 'symlink', linkname: '../../../etc/passwd' }),
    /leads out/,
  ],
  ['an absolute link', () => layout({ name: layerName, type: 'link', linkname: '/etc/passwd' }), /leads out of it/],
  ['a link to itself', () => layout({ name: layerName, type: 'link', linkname: layerName }), /archive lacks/],
  ['a link to nothing', () => layout({ name: layerName, type: 'symlink', linkname: '' }), /archive lacks/],
  ['a folder for an index', () => tar([{ name: 'index.json', type: 'directory' }]), /neither index\.json nor/],
  ['an index that is no JSON', () => layout({ name: 'index.json', content: '{' }), /index\.json is no JSON/],
  [
    'an index without manifests',
    () => layout({ name: 'index.json', content: '{}' }),
    /index\.json is not as it should be/,
  ],
  ['an empty index', () => layout({ name: 'index.json', content: '{"manifests":[]}' }), /holds no images/],
  ['an index that is too large', () => layout({ name: 'index.json', content: large }), /too much for it/],
  [
    'a manifest that is too large',
    async () => {
      const manifest = blob(one.manifest.mediaType, large);
      return tar([blobEntry(manifest), ...indexEntries([manifest])]);
    },
    /the manifest sha256:\w+ has 4194305 bytes, which is too much/,
  ],
  [
    'a digest that is a path',
    () =>
      layout({
        name: 'index.json',
        content: JSON.stringify({ manifests: [{ ...descriptor(one.manifest), digest: 'sha256:../../x' }] }),
      }),
    /expected a digest/,
  ],
  [
    'a manifest that is an index too',
    async () => {
      const both = blob(one.manifest.mediaType, {
        schemaVersion: 2,
        config: descriptor(one.config),
        layers: [],
        manifests: [],
      });
      return tar([...imageEntries(one), blobEntry(both), ...indexEntries([both])]);
    },
    /no manifest: it has manifests, and layers or config too/,
  ],
  ['a config that is absent from docker save', () => docker({ Config: 'none.json' }), /lacks "none\.json"/],
  ['a config that leads out', () => docker({ Config: '../../etc/passwd' }), /lacks "\.\.\/\.\.\/etc/],
  ['a config that is no JSON', () => docker({ Config: 'x' }, { name: 'x', content: '{' }), /the config "x" is no JSON/],
  [
    'a config without layers',
    () => docker({ Config: 'x' }, { name: 'x', content: '{}' }),
    /"x" is not as it should be/,
  ],
  ['too few layers', () => docker({ Layers: [] }), /names 0 layers, but their image has 1/],
  ['a layer that is not the config’s', () => docker({ Layers: ['x'] }, { name: 'x', content: 'y' }), /answers 400/],
  ['a manifest.json that is no list', () => tar([{ name: 'manifest.json', content: '{}' }]), /not as it should be/],
  ['an empty manifest.json', () => saved([]), /holds no images/],
  ['more files than there can be', () => emptyFiles(100_001), /more than 100000 files/],
];

const folder = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
const before = process.env['TMPDIR'];
beforeAll(() => {
  process.env['TMPDIR'] = folder;
});
afterAll(async () => {
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
  await rm(folder, { recursive: true });
});

let registry: Registry;
beforeEach(async () => {
  registry = await startRegistry();
  return () => registry[Symbol.asyncDispose]();
});

function runImport(args: readonly string[], archive: Uint8Array): Promise<Outcome> {
  return shiplog(
    ['import', ...args],
    { SHIPLOG_DATA: folder, SHIPLOG_URL: `http://127.0.0.1:${registry.port}` },
    archive,
  );
}

test.each(hostile)(
  '%s is refused in a sentence, and nothing has a name or stays behind',
  async (_what, archive, stderr) => {
    const outcome = await runImport(['team/web:1'], await archive());
    expect(outcome).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(stderr) });
    expect(outcome.stderr).toMatch(/^shiplog: [^\n]*\n$/);
    expect((await registry.store.catalog.list()).repositories).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  },
);

test('names in an archive cannot steer the terminal', async () => {
  const name = 'a:\u001b[2J';
  const annotated = { ...one.manifest, annotations: { 'org.opencontainers.image.ref.name': name } };
  for (const archive of [
    await tar([...imageEntries(one), ...indexEntries([annotated])]),
    await tar([
      { name, content: '' },
      { name, content: '' },
    ]),
    await saved([await savedImage([name], [])]),
  ]) {
    const { code, stderr } = await runImport([], archive);
    expect(code).toBe(1);
    expect(stderr).not.toContain('\u001b');
  }
});

test('a registry that takes no writes is heard', async () => {
  await using closed = await startRegistry({ readOnly: true });
  const env = { SHIPLOG_DATA: folder, SHIPLOG_URL: `http://127.0.0.1:${closed.port}` };
  expect(await shiplog(['import', 'a:1'], env, await layout())).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/answers 405: .*read_only/),
  });
});

test('a terminal is no archive, and a file that is not there is told without a stack', async () => {
  const outcome = await shiplog(['import', '-i', join(folder, 'none.tar')], {});
  expect(outcome).toMatchObject({ code: 1, stderr: expect.stringMatching(/^shiplog: ENOENT.*none\.tar'\n$/) });
});
