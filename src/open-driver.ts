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
