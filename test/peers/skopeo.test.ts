import { afterAll, beforeAll, expect, test } from 'vitest';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '../../storage/digest.ts';
import { type Server, startServer } from '../support/server.ts';
import { type Layout, writeLayout } from './support/images.ts';
import { skopeo } from './support/skopeo.ts';

let server: Server;
let layout: Layout;
let out: string;
beforeAll(async () => {
  server = await startServer();
  layout = await writeLayout();
  out = await mkdtemp(join(tmpdir(), 'shiplog-skopeo-'));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await layout[Symbol.asyncDispose]();
  await rm(out, { recursive: true });
});

const remote = (image: string): string => `docker://127.0.0.1:${server.httpPort}/${image}`;

/** The digest of what skopeo gets for an image, from its own bytes. */
async function digest(image: string): Promise<string> {
  return digestOf(Buffer.from(await skopeo('inspect', '--raw', remote(image))));
}

/** The digest of the manifest that skopeo wrote to a folder. */
async function digestOut(folder: string): Promise<string> {
  return digestOf(await readFile(join(out, folder, 'manifest.json')));
}

const formats = [
  ['oci', 'application/vnd.oci.image.manifest.v1+json'],
  ['v2s2', 'application/vnd.docker.distribution.manifest.v2+json'],
] as const;
test.each(formats)(
  'an image in the format %s is copied in, inspected, and copied out the same',
  async (format, type) => {
    await skopeo('copy', `--format=${format}`, layout.single, remote(`team/${format}:1`));
    const raw = await skopeo('inspect', '--raw', remote(`team/${format}:1`));
    expect(JSON.parse(raw)).toMatchObject({ mediaType: type });
    const inspected = JSON.parse(await skopeo('inspect', remote(`team/${format}:1`)));
    expect(inspected).toMatchObject({
      Digest: digestOf(Buffer.from(raw)),
      Labels: { 'org.opencontainers.image.revision': 'revision-amd64' },
      RepoTags: ['1'],
    });
    await skopeo('copy', remote(`team/${format}:1`), `dir:${out}/${format}`);
    expect(await digestOut(format)).toBe(digestOf(Buffer.from(raw)));
  },
);

test.each(['index-only', 'all'])('an index is copied with all its images (--multi-arch=%s)', async (which) => {
  await skopeo('copy', '--all', layout.multi, remote('multi:1'));
  const index = JSON.parse(await skopeo('inspect', '--raw', remote('multi:1')));
  expect(index.mediaType).toBe('application/vnd.oci.image.index.v1+json');
  expect(index.manifests).toHaveLength(2);
  await skopeo('copy', `--multi-arch=${which}`, remote('multi:1'), `dir:${out}/${which}`);
  expect(await digestOut(which)).toBe(await digest('multi:1'));
  for (const { digest, platform } of index.manifests) {
    const config = await skopeo('inspect', '--config', remote(`multi@${digest}`));
    expect(JSON.parse(config).architecture).toBe(platform.architecture);
  }
});

test('copying from one repository to another, by tag and by digest, keeps the digest', async () => {
  await skopeo('copy', '--all', layout.multi, remote('from:1'));
  const expected = await digest('from:1');
  await skopeo('copy', '--all', remote('from:1'), remote('to/there:1'));
  await skopeo('copy', '--all', remote(`from@${expected}`), remote('to/there:2'));
  expect([await digest('to/there:1'), await digest('to/there:2')]).toEqual([expected, expected]);
});

test('tags are listed, page by page where there are many', async () => {
  for (const tag of ['b', 'a', 'c-1']) await skopeo('copy', layout.single, remote(`listed:${tag}`));
  expect(JSON.parse(await skopeo('list-tags', remote('listed')))).toEqual({
    Repository: `127.0.0.1:${server.httpPort}/listed`,
    Tags: ['a', 'b', 'c-1'],
  });
});

test('what was deleted is gone, with all its tags', async () => {
  await skopeo('copy', layout.single, remote('gone:1'));
  await skopeo('copy', remote('gone:1'), remote('gone:2'));
  await skopeo('delete', remote('gone:1'));
  await expect(skopeo('inspect', '--raw', remote('gone:1'))).rejects.toThrow('manifest unknown');
  await expect(skopeo('inspect', '--raw', remote('gone:2'))).rejects.toThrow('manifest unknown');
  await skopeo('copy', layout.single, remote('gone:1'));
  await skopeo('copy', remote('gone:1'), `dir:${out}/again`);
});
