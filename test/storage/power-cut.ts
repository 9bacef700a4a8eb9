import { createHash } from 'node:crypto';
import { openDisk } from '../../storage/drivers/disk.ts';
import { StorageError } from '../../storage/errors.ts';
import { openStore, type Store } from '../../storage/store.ts';
import type { Call, FaultyFileSystem, Verdict } from '../support/faulty-fs.ts';
import { collect, type TestImage } from '../support/images.ts';

export const root = '/data/registry';

/** A store on a file system as a new process would open it. */
export async function storeOn(fileSystem: FaultyFileSystem): Promise<Store> {
  return openStore({ driver: await openDisk({ root, fileSystem }), indexMaxAge: 0 });
}

/** What a place (`name reference`) may be after a power cut: one of these images or, where undefined is among them, absent. */
export type Promises = Map<string, readonly (TestImage | undefined)[]>;

/** Something that is done to a store; what was promised meanwhile stands in `promises`. */
export type Scenario = (files: FaultyFileSystem, promises: Promises) => Promise<void>;

/** Changes a place; while that goes on it is as it was or as it will be, then as it will be. */
export async function changing(
  promises: Promises,
  places: readonly string[],
  image: TestImage | undefined,
  work: () => Promise<unknown>,
): Promise<void> {
  for (const place of places) promises.set(place, [...(promises.get(place) ?? [undefined]), image]);
  await work();
  for (const place of places) promises.set(place, [image]);
}

/** Runs a scenario until the power goes, ahead of the call of that number, or at the end. */
export async function runUntil(
  fileSystem: FaultyFileSystem,
  stop: number,
  scenario: () => Promise<void>,
  options: { loseAll?: boolean; verdict?: (call: Call) => Verdict } = {},
): Promise<FaultyFileSystem> {
  const { loseAll = false, verdict } = options;
  let after: FaultyFileSystem | undefined;
  fileSystem.before((call) => {
    if (call.number === stop) after = fileSystem.crash({ loseAll });
    return verdict?.(call);
  });
  try {
    await scenario();
  } catch (error) {
    if (after === undefined) throw error;
  }
  return after ?? fileSystem.crash({ loseAll });
}

/** What is wrong with the store that a power cut left: nothing. */
export async function faults(fileSystem: FaultyFileSystem, promises: Promises): Promise<string[]> {
  const files = fileSystem.files();
  const wrong = tornBlobs(files).map((path) => `${path} is torn`);
  await using store = await storeOn(fileSystem);
  for (const [place, allowed] of promises) {
    wrong.push(...(await placeFaults(store, place, allowed)));
    wrong.push(...(await referrerFaults(store, place, allowed)));
    const [name = '', reference = ''] = place.split(' ');
    if (reference.includes(':') || allowed.length > 1) continue;
    const found = await unlessUnknown(store.manifests.get(name, reference));
    const tags = (await unlessUnknown(store.tags.list(name)))?.tags ?? [];
    if (tags.includes(reference) !== (found !== undefined)) wrong.push(`${place} is listed, or not, in error`);
    const past = `_manifests/tags/${reference}/index/${found?.digest.replace(':', '/')}/link`;
    const history = `${root}/docker/registry/v2/repositories/${name}/${past}`;
    if (found !== undefined && files.get(history)?.toString() !== found.digest) {
      wrong.push(`${place} has no history`);
    }
  }
  return wrong;
}

/** What is wrong with a place that may be one of these. */
export async function placeFaults(
  store: Store,
  place: string,
  allowed: readonly (TestImage | undefined)[],
): Promise<string[]> {
  const [name = '', reference = ''] = place.split(' ');
  const found = await unlessUnknown(store.manifests.get(name, reference));
  if (found === undefined) return allowed.includes(undefined) ? [] : [`${place} is absent`];
  const image = allowed.find((image) => image?.manifest.digest === found.digest);
  return image === undefined ? [`${place} is ${found.digest}`] : imageFaults(store, name, image);
}

/** Which of these images are listed as referrers, though they are not there, or the other way round. */
async function referrerFaults(
  store: Store,
  place: string,
  allowed: readonly (TestImage | undefined)[],
): Promise<string[]> {
  const wrong: string[] = [];
  const [name = ''] = place.split(' ');
  for (const one of allowed) {
    const subject = one && subjectOf(one);
    if (subject === undefined) continue;
    const { referrers } = await store.referrers.list(name, subject, { limit: 100 });
    const listed = referrers.some(({ digest }) => digest === one?.manifest.digest);
    const there = await unlessUnknown(store.manifests.get(name, one?.manifest.digest ?? ''));
    if (listed !== (there !== undefined)) wrong.push(`${place} is a referrer, or not, in error`);
  }
  return wrong;
}

/** What an image refers to. */
function subjectOf({ manifest }: TestImage): string | undefined {
  const { subject }: { subject?: { digest: string } } = JSON.parse(String(manifest.bytes));
  return subject?.digest;
}

/** What an image that a repository has lacks. */
async function imageFaults(store: Store, name: string, image: TestImage): Promise<string[]> {
  const wrong: string[] = [];
  const { digest, bytes } = image.manifest;
  const found = await unlessUnknown(store.manifests.get(name, digest));
  if (found === undefined) return [`${name} lacks the manifest ${digest}`];
  if (!bytes.equals(found.bytes)) wrong.push(`the manifest ${digest} is torn`);
  for (const blob of [image.config, ...image.layers]) {
    const opened = await unlessUnknown(store.blobs.open(name, blob.digest));
    if (opened === undefined) wrong.push(`${name} lacks the blob ${blob.digest}`);
    else if (!(await collect(opened.body)).equals(blob.bytes)) wrong.push(`the blob ${blob.digest} is torn`);
  }
  return wrong;
}

/** Blobs in the tree whose bytes are not what their place says. */
function tornBlobs(files: ReadonlyMap<string, Buffer>): string[] {
  return [...files].flatMap(([path, bytes]) => {
    const [, algorithm, hex] = /\/blobs\/(sha256|sha512)\/..\/([0-9a-f]+)\/data$/.exec(path) ?? [];
    if (algorithm === undefined) return [];
    return createHash(algorithm).update(bytes).digest('hex') === hex ? [] : [path];
  });
}

export async function unlessUnknown<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof StorageError && error.code.endsWith('_UNKNOWN')) return undefined;
    throw error;
  }
}
