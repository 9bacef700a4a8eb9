import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { blobEntry, imageEntries, indexEntries, saved, savedImage } from '../support/archives.ts';
import { type Outcome, shiplog } from '../support/command.ts';
import { blob, collect, descriptor, image, index, sha256, sha512, type TestBlob } from '../support/images.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { tar, type TestEntry } from '../support/tars.ts';

const folder = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
afterAll(() => rm(folder, { recursive: true }));

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

const annotations = (name: string): object => ({ annotations: { 'org.opencontainers.image.ref.name': name } });
const ociManifest = 'application/vnd.oci.image.manifest.v1+json';

/** All tags of all repositories. */
async function names(): Promise<string[]> {
  const { repositories } = await registry.store.catalog.list();
  const lists = repositories.map(async (name) => {
    const { tags } = await registry.store.tags.list(name);
    return tags.map((tag) => `${name}:${tag}`);
  });
  return (await Promise.all(lists)).flat();
}

async function content(name: string, digest: string): Promise<Buffer> {
  return collect((await registry.store.blobs.open(name, digest)).body);
}

describe('an OCI layout', () => {
  const one = image({ seed: 1, layerSizes: [1500, 0] });
  const archive = (name?: string): Promise<Buffer> =>
    tar([...imageEntries(one), ...indexEntries([{ ...one.manifest, ...(name !== undefined && annotations(name)) }])]);

  test('is stored byte for byte; what is there already is not sent again', async () => {
    expect(await runImport([], await archive('team/web:1.4'))).toEqual({
      code: 0,
      stdout: `team/web:1.4 ${one.manifest.digest}, 3 of 3 blobs sent\n`,
      stderr: '',
    });
    const stored = await registry.store.manifests.get('team/web', '1.4');
    expect(Buffer.from(stored.bytes)).toEqual(one.manifest.bytes);
    expect(stored.mediaType).toBe(one.manifest.mediaType);
    for (const { digest, bytes } of [one.config, ...one.layers]) {
      expect(await content('team/web', digest)).toEqual(bytes);
    }
    expect((await runImport([], await archive('team/web:1.4'))).stdout).toContain(', 0 of 3 blobs sent');
  });

  test.each<[what: string, name: string | undefined, args: string[], expected: string[] | RegExp]>([
    ['a name with a host', 'registry.corp:5000/team/web:1', [], ['team/web:1']],
    ['a name of Docker Hub', 'docker.io/library/busybox:1.36', [], ['busybox:1.36']],
    ['a tag alone', '1.4', [], /names the tag 1\.4 alone; say which repository/],
    ['no name', undefined, [], /no name; say which repository/],
    ['a tag alone, and a repository', '1.4', ['team/web'], ['team/web:1.4']],
    ['a name, and a repository', 'other/app:2', ['team/web'], ['team/web:2']],
    ['no name, and a repository', undefined, ['team/web'], ['team/web:latest']],
    ['a name, and another', 'other/app:2', ['team/web:3'], ['team/web:3']],
    ['a name that cannot be one', 'UPPER/case:1', [], /"UPPER\/case:1" cannot be one here; give another/],
    ['such a name, and another', 'UPPER/case:1', ['team/web:3'], ['team/web:3']],
    ['upper case', '1.4', ['Apps/x'], /has no upper case: apps\/x, not Apps\/x; give one name/],
    ['a digest as name', undefined, [`team/web@${one.manifest.digest}`], /one name at most/],
  ])('%s', async (_what, name, args, expected) => {
    const { code, stderr } = await runImport(args, await archive(name));
    expect(await names()).toEqual(Array.isArray(expected) ? expected : []);
    if (Array.isArray(expected)) expect([code, stderr]).toEqual([0, '']);
    else expect(stderr).toMatch(expected);
  });

  test('what containerd names it counts before the tag alone', async () => {
    const annotations = {
      'io.containerd.image.name': 'docker.io/team/web:1.4',
      'org.opencontainers.image.ref.name': '1.4',
    };
    const { manifest } = one;
    await runImport([], await tar([...imageEntries(one), ...indexEntries([{ ...manifest, annotations }])]));
    expect(await names()).toEqual(['team/web:1.4']);
  });

  test('of several images each has its name; one name for all is refused, and so is one name for two', async () => {
    const other = image({ seed: 2 });
    const entries = [...imageEntries(one), ...imageEntries(other)];
    const archive = (first: string, second: string, third: string): Promise<Buffer> =>
      tar([
        ...indexEntries([
          { ...one.manifest, ...annotations(first) },
          { ...one.manifest, ...annotations(second) },
          { ...other.manifest, ...annotations(third) },
        ]),
        ...entries,
      ]);
    expect((await runImport(['b:1'], await archive('a:1', 'a:2', 'c:3'))).stderr).toContain('several images');
    expect((await runImport(['b'], await archive('a:1', 'a:2', 'c:1'))).stderr).toContain('two images that would both');
    expect(await names()).toEqual([]);
    expect((await runImport([], await archive('a:1', 'c:2', 'c:3'))).code).toBe(0);
    expect(await names()).toEqual(['a:1', 'c:2', 'c:3']);
    expect((await runImport(['d'], await archive('a:1', 'c:2', 'c:3'))).code).toBe(0);
    expect(await names()).toEqual(['a:1', 'c:2', 'c:3', 'd:1', 'd:2', 'd:3']);
  });

  test('what has no name among others is stored by its digest', async () => {
    const signature = image({ seed: 3, manifest: { subject: descriptor(one.manifest) } });
    const tops = indexEntries([{ ...one.manifest, ...annotations('1') }, signature.manifest]);
    const { code } = await runImport(
      ['team/web'],
      await tar([...imageEntries(one), ...imageEntries(signature), ...tops]),
    );
    expect(code).toBe(0);
    expect(await names()).toEqual(['team/web:1']);
    expect((await registry.store.manifests.stat('team/web', signature.manifest.digest)).digest).toBeTruthy();
  });

  test('an index comes with all that it lists, an index in it and sha512 too', async () => {
    const layer = blob('application/vnd.oci.image.layer.v1.tar', 'content');
    const config = blob('application/vnd.oci.image.config.v1+json', { os: 'linux', architecture: 'arm64' });
    const strong = (part: TestBlob): TestBlob => ({ ...part, digest: sha512(part.bytes) });
    const manifest = strong(
      blob(ociManifest, { schemaVersion: 2, config: descriptor(config), layers: [descriptor(strong(layer))] }),
    );
    const inner = index([{ manifest, config, layers: [] }]);
    const outer = index([one, { manifest: inner, config, layers: [] }]);
    const blobs = [manifest, config, strong(layer), inner, outer].map(blobEntry);
    const archive = await tar([...blobs, ...imageEntries(one), ...indexEntries([outer])]);
    expect(await runImport(['team/all:1'], archive)).toMatchObject({ code: 0, stderr: '' });
    for (const { digest, bytes } of [outer, inner, manifest, one.manifest]) {
      expect(Buffer.from((await registry.store.manifests.get('team/all', digest)).bytes)).toEqual(bytes);
    }
    expect((await content('team/all', sha512(layer.bytes))).toString()).toBe('content');
    expect(await names()).toEqual(['team/all:1']);
  });

  test('of an index that lacks other images, the one that is there is taken alone, and that is told', async () => {
    const both = index([image({ seed: 4 }), one]);
    const archive = await tar([blobEntry(both), ...imageEntries(one), ...indexEntries([both])]);
    const { code, stdout, stderr } = await runImport(['team/web:1'], archive);
    expect([code, stdout.slice(0, 84)]).toEqual([0, `team/web:1 ${one.manifest.digest}, `]);
    expect(stderr).toBe(`the archive has one image of the index ${both.digest}, which is taken alone: linux/test1\n`);
  });

  test('a layer that is to be had elsewhere may be absent, and that is told', async () => {
    const foreign = {
      ...descriptor(blob('application/vnd.oci.image.layer.nondistributable.v1.tar', 'x')),
      urls: ['https://elsewhere'],
    };
    const manifest = blob(ociManifest, { schemaVersion: 2, config: descriptor(one.config), layers: [foreign] });
    const archive = await tar([...[manifest, one.config].map(blobEntry), ...indexEntries([manifest])]);
    const { code, stderr } = await runImport(['team/web:1'], archive);
    expect([code, stderr]).toEqual([
      0,
      `the layer ${foreign.digest} is not in the archive: it is to be had elsewhere\n`,
    ]);
  });

  test('it may be compressed, begin with ./, and come in any order, as a file or as a stream', async () => {
    const entries = [...indexEntries([{ ...one.manifest, ...annotations('a:1') }]), ...imageEntries(one)];
    const dotted = entries.map((entry): TestEntry => ({ ...entry, name: `./${entry.name}` }));
    const file = join(folder, 'archive.tar');
    for (const archive of [await tar(dotted), gzipSync(await tar(entries.toReversed()))]) {
      expect((await runImport([], archive)).stderr).toBe('');
      await writeFile(file, archive);
      expect((await runImport(['b', '-i', file], Buffer.alloc(0))).stderr).toBe('');
    }
    expect(await names()).toEqual(['a:1', 'b:1']);
  });

  test('a file on stdin is read where it is: nothing is copied', async () => {
    const file = join(folder, 'stdin.tar');
    await writeFile(file, await archive());
    const main = resolve(import.meta.dirname, '../../src/main.ts');
    const env = { SHIPLOG_DATA: folder, SHIPLOG_URL: `http://127.0.0.1:${registry.port}`, TMPDIR: '/nowhere' };
    await promisify(execFile)('/bin/sh', ['-c', '"$0" "$1" import team/web:1 < "$2"', process.execPath, main, file], {
      env,
    });
    expect(await names()).toEqual(['team/web:1']);
  });
});

describe('an archive of docker save', () => {
  test('keeps config and layers byte for byte, as layers that are not compressed', async () => {
    const one = await savedImage(['registry.corp/team/web:1.4', 'busybox:latest'], ['first', 'second']);
    expect(await runImport([], await saved([one]))).toMatchObject({ code: 0, stderr: '' });
    expect(await names()).toEqual(['busybox:latest', 'team/web:1.4']);
    const { bytes, mediaType } = await registry.store.manifests.get('team/web', '1.4');
    expect(mediaType).toBe('application/vnd.docker.distribution.manifest.v2+json');
    const manifest = JSON.parse(Buffer.from(bytes).toString());
    expect(manifest).toEqual({
      schemaVersion: 2,
      mediaType,
      config: {
        mediaType: 'application/vnd.docker.container.image.v1+json',
        size: one.config.length,
        digest: sha256(one.config),
      },
      layers: one.layers.map((layer) => ({
        mediaType: 'application/vnd.docker.image.rootfs.diff.tar',
        size: layer.length,
        digest: sha256(layer),
      })),
    });
    for (const part of [one.config, ...one.layers]) expect(await content('team/web', sha256(part))).toEqual(part);
  });

  test('layers that are links to others are found, and compressed ones are stored as they are', async () => {
    const one = await savedImage(null, ['same', 'same']);
    const [first = '', second = ''] = one.line.Layers;
    const [layer = Buffer.alloc(0)] = one.layers;
    const rest = one.entries.filter(({ name }) => !one.line.Layers.includes(name));
    const manifest: TestEntry = { name: 'manifest.json', content: JSON.stringify([one.line]) };
    const target = `../${first}`;
    for (const link of [
      { name: second, type: 'symlink', linkname: target },
      { name: second, type: 'link', linkname: first },
    ] as const) {
      const archive = await tar([...rest, { name: first, content: gzipSync(layer) }, link, manifest]);
      expect(await runImport([`links/${link.type}`], archive)).toMatchObject({ code: 0, stderr: '' });
      const { bytes } = await registry.store.manifests.get(`links/${link.type}`, 'latest');
      const stored = {
        mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
        size: gzipSync(layer).length,
        digest: sha256(gzipSync(layer)),
      };
      expect(JSON.parse(Buffer.from(bytes).toString()).layers).toEqual([stored, stored]);
    }
  });
});
