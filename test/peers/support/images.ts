import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { digestOf } from '../../../storage/digest.ts';
import { random } from '../../support/random.ts';
import { run } from './process.ts';

/** Images on disk in the form of the OCI image-spec's layout, as `oci:FOLDER:NAME` for skopeo. */
export interface Layout extends AsyncDisposable {
  readonly folder: string;
  /** An image of three layers, `single`. */
  readonly single: string;
  /** An index of two such images for amd64 and arm64, `multi`. */
  readonly multi: string;
}

/** What an index or a manifest says of content. */
interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Writes a layout with an image and an index into a folder of its own. */
export async function writeLayout(): Promise<Layout> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-layout-'));
  const randomness = random(20_261_124);
  await mkdir(join(folder, 'blobs/sha256'), { recursive: true });

  async function put(mediaType: string, content: Uint8Array | object): Promise<Descriptor> {
    const bytes = content instanceof Uint8Array ? content : Buffer.from(JSON.stringify(content));
    const digest = digestOf(bytes);
    await writeFile(join(folder, 'blobs', digest.replace(':', '/')), bytes);
    return { mediaType, digest, size: bytes.length };
  }

  async function image(architecture: string): Promise<Descriptor> {
    const [layers, diffIds]: [Descriptor[], string[]] = [[], []];
    for (let layer = 0; layer < 3; layer += 1) {
      const content = join(folder, 'content');
      await mkdir(content);
      await writeFile(join(content, `file-${layer}`), randomness.bytes(50_000));
      await run('tar', ['--create', '--file', join(folder, 'layer.tar'), '--directory', content, '.']);
      const tar = await readFile(join(folder, 'layer.tar'));
      diffIds.push(digestOf(tar));
      layers.push(await put('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(tar)));
      await rm(content, { recursive: true });
    }
    const config = await put('application/vnd.oci.image.config.v1+json', {
      architecture,
      os: 'linux',
      config: { Labels: { 'org.opencontainers.image.revision': `revision-${architecture}` } },
      rootfs: { type: 'layers', diff_ids: diffIds },
    });
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    return put(mediaType, { schemaVersion: 2, mediaType, config, layers });
  }

  const manifests: object[] = [];
  for (const architecture of ['amd64', 'arm64']) {
    manifests.push({ ...(await image(architecture)), platform: { architecture, os: 'linux' } });
  }
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const multi = await put(mediaType, { schemaVersion: 2, mediaType, manifests });
  const name = (text: string): object => ({ annotations: { 'org.opencontainers.image.ref.name': text } });
  const index = {
    schemaVersion: 2,
    manifests: [
      { ...(await image('amd64')), ...name('single') },
      { ...multi, ...name('multi') },
    ],
  };
  await writeFile(join(folder, 'index.json'), JSON.stringify(index));
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return {
    folder,
    single: `oci:${folder}:single`,
    multi: `oci:${folder}:multi`,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
