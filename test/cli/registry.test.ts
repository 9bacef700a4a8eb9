import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blob, descriptor, image, index, pushBlob, pushImage, type TestBlob } from '../support/images.ts';
import { shiplog } from '../support/command.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { startScripted } from '../support/scripted-server.ts';
import { startTestService, userLine } from '../support/service.ts';

let registry: Registry;
let env: Record<string, string>;
beforeAll(async () => {
  registry = await startRegistry();
  env = { SHIPLOG_DATA: '/nowhere', SHIPLOG_URL: `http://127.0.0.1:${registry.port}` };
});
afterAll(() => registry[Symbol.asyncDispose]());

const images = [image({ seed: 1 }), image({ seed: 2, kind: 'docker' })] as const;
const both = index(images);

async function putManifest(name: string, reference: string, { bytes, mediaType }: TestBlob): Promise<void> {
  await registry.store.manifests.put(name, reference, bytes, { contentType: mediaType });
}

/** An index, the images in it, and one of them under a tag of its own. */
async function push(name: string): Promise<void> {
  for (const one of images) await pushImage(registry.store, name, one);
  await putManifest(name, 'both', both);
  await pushImage(registry.store, name, images[0], '1.0');
}

function sizeOf(blobs: readonly TestBlob[]): number {
  return blobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

describe('shiplog ls', () => {
  test.each([
    ['repositories', ['ls'], '/v2/_catalog'],
    ['tags', ['ls', 'team/web'], '/v2/team/web/tags/list'],
  ])('asks for all pages of the %s, as the links lead', async (key, args, path) => {
    const asked: string[] = [];
    await using server = await startScripted(({ url }, answer) => {
      asked.push(url ?? '');
      // A proxy may have made the link absolute.
      const link = [`</there?last=b%26>; rel="next"`, `<https://elsewhere:1/third>; rel="next"`][asked.length - 1];
      if (link !== undefined) answer.setHeader('link', link);
      answer.statusCode = (url ?? '').includes('manifests') ? 404 : 200;
      answer.end(JSON.stringify({ [key]: [`page-${asked.length}`] }));
    });
    const { code, stdout } = await shiplog(args, { SHIPLOG_DATA: '/nowhere', SHIPLOG_URL: server.url });
    expect(code).toBe(0);
    expect(asked.slice(0, 3)).toEqual([path, '/there?last=b%26', '/third']);
    if (key === 'repositories') expect(stdout).toBe('page-1\npage-2\npage-3\n');
    else expect(asked.slice(3).toSorted()).toEqual([1, 2, 3].map((page) => `/v2/team/web/manifests/page-${page}`));
  });

  test('a server that is no registry is said to be none', async () => {
    await using server = await startScripted((_request, answer) => answer.end('<html>'));
    expect(await shiplog(['ls'], { SHIPLOG_DATA: '/nowhere', SHIPLOG_URL: server.url })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is that a shiplog?'),
    });
  });

  test('lists the tags of a repository with digest, size, type and platforms', async () => {
    await push('team/web');
    const [config, layer] = [blob('application/vnd.oci.empty.v1+json', {}), blob('application/x', 'a chart')];
    const artifact = blob('application/vnd.oci.image.manifest.v1+json', {
      schemaVersion: 2,
      artifactType: 'application/vnd.chart',
      config: descriptor(config),
      layers: [descriptor(layer)],
    });
    for (const part of [config, layer]) await pushBlob(registry.store, 'team/web', part);
    await putManifest('team/web', 'chart', artifact);

    const [one, other] = images;
    const [size, all] = [
      sizeOf([one.config, ...one.layers]),
      sizeOf([one.config, ...one.layers, other.config, ...other.layers]),
    ];
    const { code, stdout } = await shiplog(['ls', 'team/web'], env);
    expect(code).toBe(0);
    const kib = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KiB`;
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['TAG', 'DIGEST', 'SIZE', 'TYPE', 'PLATFORMS'],
      ['1.0', one.manifest.digest, kib(size), 'image', 'linux/amd64'],
      ['both', both.digest, kib(all), 'index', 'linux/test0, linux/test1'],
      ['chart', artifact.digest, '9 B', 'application/vnd.chart'],
      [''],
    ]);
    const json = (await shiplog(['ls', 'team/web', '--json'], env)).stdout.trimEnd().split('\n');
    expect(json.map((line) => JSON.parse(line))[1]).toEqual({
      repository: 'team/web',
      tag: 'both',
      digest: both.digest,
      mediaType: both.mediaType,
      type: 'index',
      size: all,
      platforms: ['linux/test0', 'linux/test1'],
    });
  });

  test('a layer that images share counts once', async () => {
    const [one] = images;
    const [layer = one.config] = one.layers;
    const twice = blob(one.manifest.mediaType, {
      schemaVersion: 2,
      config: descriptor(one.config),
      layers: [layer, layer].map(descriptor),
    });
    const both = index([one, { ...one, manifest: twice }]);
    await pushImage(registry.store, 'shared', one);
    await putManifest('shared', twice.digest, twice);
    await putManifest('shared', '1', both);
    const { stdout } = await shiplog(['ls', 'shared', '--json'], env);
    expect(JSON.parse(stdout).size).toBe(sizeOf([one.config, ...one.layers]));
  });

  test('what an image says of itself cannot steer the terminal', async () => {
    const config = blob('application/vnd.oci.image.config.v1+json', { os: 'li\u001b[2Jnux', architecture: 'a' });
    const manifest = blob('application/vnd.oci.image.manifest.v1+json', {
      schemaVersion: 2,
      config: descriptor(config),
      layers: [],
    });
    await pushBlob(registry.store, 'hostile', config);
    await putManifest('hostile', '1', manifest);
    expect((await shiplog(['ls', 'hostile'], env)).stdout).toContain('li\\x1b[2Jnux/a');
    expect((await shiplog(['ls', 'hostile', '--json'], env)).stdout).not.toContain('\u001b');
  });

  test.each<[what: string, args: string[], code: number, stderr: RegExp]>([
    ['no such repository', ['ls', 'nothing/here'], 1, /404: there is no repository nothing\/here/],
    ['a tag', ['ls', 'team/web:1'], 2, /expected a repository/],
    ['no name', ['ls', '../x'], 2, /: expected a repository/],
    ['upper case', ['ls', 'Team/Web'], 2, /has no upper case: team\/web, not Team\/Web; expected a repository/],
    ['several', ['ls', 'a', 'b'], 2, /one repository at most/],
  ])('%s', async (_what, args, code, stderr) => {
    expect(await shiplog(args, env)).toMatchObject({ code, stderr: expect.stringMatching(stderr) });
  });

  test('the key of this machine lets it in, and without one a user is asked for', async () => {
    await using service = await startTestService({ users: userLine('ann', 'pw') });
    const url = `http://127.0.0.1:${service.port}`;
    expect(await shiplog(['ls', '--url', url], { SHIPLOG_DATA: service.data })).toMatchObject({ code: 0, stdout: '' });
    expect(await shiplog(['ls', '--url', url], { SHIPLOG_DATA: '/nowhere' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('it wants a user'),
    });
  });
});

describe('shiplog rm', () => {
  const tags = async (name: string): Promise<string[]> => (await registry.store.tags.list(name)).tags;

  test('of a tag removes the tag alone, and says what it pointed to', async () => {
    await push('rm/tag');
    const { digest } = images[0].manifest;
    expect(await shiplog(['rm', 'rm/tag:1.0'], env)).toEqual({
      code: 0,
      stdout: `rm/tag:1.0 is removed; what it pointed to stays: rm/tag@${digest}\n`,
      stderr: '',
    });
    expect(await tags('rm/tag')).toEqual(['both']);
    expect((await registry.store.manifests.stat('rm/tag', digest)).digest).toBe(digest);
  });

  test('of a digest removes the manifest and the tags that point to it, and names them', async () => {
    await push('rm/digest');
    const { digest } = images[0].manifest;
    await pushImage(registry.store, 'rm/digest', images[0], '1');
    expect(await shiplog(['rm', `rm/digest@${digest}`], env)).toEqual({
      code: 0,
      stdout: `rm/digest@${digest} is removed\nrm/digest:1 is removed with it\nrm/digest:1.0 is removed with it\n`,
      stderr: '',
    });
    expect(await tags('rm/digest')).toEqual(['both']);
    await expect(registry.store.manifests.stat('rm/digest', digest)).rejects.toThrow('no manifest');
  });

  test.each<[what: string, args: string[], code: number, stderr: RegExp]>([
    ['what is not there', ['rm', 'team/web:none'], 1, /there is no team\/web:none/],
    ['a repository', ['rm', 'team/web'], 2, /as REPO:TAG or REPO@DIGEST/],
    ['nothing', ['rm'], 2, /as REPO:TAG or REPO@DIGEST/],
    ['upper case', ['rm', 'Team/web:A'], 2, /has no upper case: team\/web, not Team\/web; give one image/],
    ['half a digest', ['rm', 'team/web@sha256:12'], 2, /as REPO:TAG or REPO@DIGEST/],
  ])('%s', async (_what, args, code, stderr) => {
    expect(await shiplog(args, env)).toMatchObject({ code, stderr: expect.stringMatching(stderr) });
  });

  test('where nothing may be deleted, says so', async () => {
    await using registry = await startRegistry({ delete: false });
    await pushImage(registry.store, 'kept', images[0], '1');
    const outcome = await shiplog(['rm', 'kept:1', '--url', `http://127.0.0.1:${registry.port}`], env);
    expect(outcome).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('answers 405: ') });
  });
});
