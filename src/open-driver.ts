import { stat } from 'node:fs/promises';
import type { Driver } from '../storage/driver.ts';
import { openDisk } from '../storage/drivers/disk.ts';
import { FolderAccessError } from '../storage/drivers/disk-access.ts';
import type { Config } from './config.ts';
import { openBucket } from './open-s3.ts';
import { StartError } from './start-error.ts';

/**
 * Opens the place where images are kept.
 * @throws {StartError} where it is not this user's to read and change, or not to be reached
 */
export async function openDriver({ storage }: Config): Promise<Driver> {
  if (storage.driver === 's3') return openBucket(storage.s3);
  const { root } = storage.disk;
  await refuseInside(root);
  try {
    return await openDisk({ root });
  } catch (error) {
    if (!(error instanceof FolderAccessError)) throw error;
    const owner = `${process.getuid?.()}:${process.getgid?.()}`;
    throw new StartError(
      `storage.disk.root is ${root}, and ${error.path} in it belongs to another user, as registry:2 leaves it that ran as ` +
        `root; give all of it to this one: chown -R ${owner} ${root}`,
      { cause: error },
    );
  }
}

/** A root too deep would be an empty registry, in the midst of the one that is meant. */
async function refuseInside(root: string): Promise<void> {
  const inside = [`${root}/blobs/sha256`, `${root}/repositories`];
  const there = await Promise.all(inside.map((path) => stat(path).catch(() => undefined)));
  if (!there.every((stats) => stats?.isDirectory() === true)) return;
  const top = root.replace(/\/docker\/registry\/v2\/?$/, '');
  throw new StartError(
    `storage.disk.root is ${root}, which is the inside of a registry's folder; give its top${top === root ? '' : `: ${top}`}`,
  );
}
