import { ReadStream } from 'node:fs';
import { isByDigest, type Reference, type Tag } from '../../storage/names.ts';
import { parallel } from '../../storage/parallel.ts';
import type { Digest } from '../../storage/digest.ts';
import { escapeControls } from '../escape.ts';
import { place, type Placement } from '../images/placement.ts';
import { type ArchivedManifest, readImages } from '../images/read-archive.ts';
import { faultOfCase, formatReference, parseReference } from '../images/reference.ts';
import { openTar } from '../images/tar-reader.ts';
import { type ClientOptions, clientOptions, clientUsage, serverOf } from './client.ts';
import { type Command, UsageError } from './command.ts';
import { parseOptions } from './options.ts';
import { Repository } from './registry-client.ts';

const usage = `Usage: shiplog import [REPO[:TAG]] < image.tar
       shiplog import [REPO[:TAG]] -i image.tar [OPTIONS]

Puts the images of an archive into the registry: of docker save, of shiplog export, or an OCI layout as a tar (skopeo
copy … oci-archive:…, docker buildx build -o type=oci). gzip may have compressed it. Names are those of the archive,
without the registry's host, unless one is given here. What is piped in is first copied into a temporary file.

  -i, --input FILE     where from, if not from stdin
${clientUsage}`;

/** Blobs that are sent at once. */
const width = 4;

/** `shiplog import` */
export const importImages: Command = async ({ args, env, stdin, stdout, stderr }) => {
  const { values, positionals } = parseOptions(usage, {
    args: [...args],
    allowPositionals: true,
    options: { ...clientOptions, input: { type: 'string', short: 'i' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const [name, ...more] = positionals;
  const target = name === undefined ? undefined : parseReference(name);
  if (more.length > 0 || (name !== undefined && (target === undefined || isDigestReference(target.reference)))) {
    throw new UsageError(
      `${faultOfCase(name ?? '')}give one name at most, as REPO or REPO:TAG, without the registry's host\n\n${usage}`,
    );
  }
  if (values.input === undefined && stdin.isTTY === true) {
    throw new UsageError('no archive comes from a terminal: give one to stdin (< image.tar), or -i FILE');
  }
  const server = serverOf(values, env);
  // A file on stdin can be read here and there as any other.
  const source = values.input ?? (stdin instanceof ReadStream ? '/dev/stdin' : stdin);
  await using archive = await openTar(source);
  const images = await readImages(archive, (text) => stderr.write(`${escapeControls(text)}\n`));
  for (const placement of place(images, target)) stdout.write(await push(placement, server));
  return 0;
};

function isDigestReference(reference: Reference | undefined): boolean {
  return reference !== undefined && isByDigest(reference);
}

/** Sends an image, its names last. @returns what was done */
async function push({ repository: name, image, tags }: Placement, server: ClientOptions): Promise<string> {
  const repository = new Repository(name, server);
  const blobs = new Map<Digest, 'sent' | 'there'>();
  await pushTree(repository, image, { tags, blobs, manifests: new Set() });
  const sent = [...blobs.values()].filter((state) => state === 'sent').length;
  const what = `${image.digest}, ${sent} of ${blobs.size} blobs sent\n`;
  if (tags.length === 0) return `${name}@${what}`;
  return tags.map((tag) => `${formatReference(name, tag)} ${what}`).join('');
}

/** What was done of a tree so far. */
interface Progress {
  /** Of the tree's top. */
  readonly tags: readonly Tag[];
  readonly blobs: Map<Digest, 'sent' | 'there'>;
  readonly manifests: Set<Digest>;
}

async function pushTree(repository: Repository, manifest: ArchivedManifest, progress: Progress): Promise<void> {
  const { tags, blobs, manifests } = progress;
  if (manifests.has(manifest.digest)) return;
  for (const child of manifest.children) await pushTree(repository, child, { ...progress, tags: [] });
  const missing = manifest.blobs.filter(({ digest }) => !blobs.has(digest));
  await parallel(new Map(missing.map((blob) => [blob.digest, blob])).values(), width, async (blob) => {
    const there = await repository.hasBlob(blob.digest);
    if (!there) await repository.pushBlob(blob.digest, blob.size, blob.read());
    blobs.set(blob.digest, there ? 'there' : 'sent');
  });
  await repository.pushManifest(manifest, tags);
  manifests.add(manifest.digest);
}
