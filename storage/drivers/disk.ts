import type { Driver } from '../driver.ts';
import { type FileSystem, nodeFileSystem } from './file-system.ts';

/** Opens a tree of files. */
export async function openDisk(options: { root: string; fileSystem?: FileSystem }): Promise<Driver> {
  const { root, fileSystem = nodeFileSystem } = options;
  await fileSystem.mkdir(root, { recursive: true });
  return { kind: 'disk', [Symbol.asyncDispose]: async () => undefined };
}
