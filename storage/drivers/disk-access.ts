import { constants } from 'node:fs';
import { rootFolder } from '../layout.ts';
import { parallel } from '../parallel.ts';
import type { FileSystem } from './file-system.ts';
import { hasCode, unlessAbsent } from './files.ts';

/** Something of a tree belongs to another user, and this one may not read it, or may not change it. */
export class FolderAccessError extends Error {
  override readonly name = 'FolderAccessError';
  readonly path: string;

  constructor(path: string, options: ErrorOptions) {
    super(`this user may not read or change ${path}`, options);
    this.path = path;
  }
}

const { R_OK, W_OK, X_OK } = constants;

/** How many files and folders are looked at, and how many of them in one folder. */
const [most, mostInFolder] = [300, 12];
const width = 16;

/**
 * Looks at a sample of a tree, from its top down: another program, as another user, may have made it. Files are replaced
 * rather than written to, so that they need only be read.
 * @throws {FolderAccessError}
 */
export async function checkAccess(files: FileSystem, root: string): Promise<void> {
  let level = [root, `${root}/${rootFolder}`].map((path) => ({ path, folder: true }));
  let looked = 0;
  while (level.length > 0 && looked < most) {
    const some = level.slice(0, most - looked);
    looked += some.length;
    const below = await parallel(some, width, async ({ path, folder }) => {
      await check(files, path, folder);
      if (!folder) return [];
      const entries = (await unlessAbsent(files.readdir(path, { withFileTypes: true }))) ?? [];
      return entries
        .slice(0, mostInFolder)
        .map((entry) => ({ path: `${path}/${entry.name}`, folder: entry.isDirectory() }));
    });
    level = below.flat();
  }
}

async function check(files: FileSystem, path: string, folder: boolean): Promise<void> {
  try {
    await unlessAbsent(files.access(path, folder ? R_OK | W_OK | X_OK : R_OK));
  } catch (error) {
    if (!hasCode(error, 'EACCES', 'EPERM')) throw error;
    throw new FolderAccessError(path, { cause: error });
  }
}
