import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDisk } from '../../storage/drivers/disk.ts';
import { openMemory } from '../../storage/drivers/memory.ts';
import type { Driver } from '../../storage/driver.ts';
import { FaultyFileSystem } from '../support/faulty-fs.ts';

/** Something to keep a store in, as the contract's tests see it. */
export interface Backend extends AsyncDisposable {
  readonly driver: Driver;
  /** Paths of what an unfinished piece of work has left. */
  leftovers(): Promise<string[]>;
}

const unfinished = /_shiplog\/(?:tmp|uploads)\/(.+)/;

/** Each driver that the contract holds for. */
export const backends: Record<string, () => Promise<Backend>> = {
  memory: async () => ({
    driver: openMemory(),
    leftovers: async () => [],
    [Symbol.asyncDispose]: async () => undefined,
  }),

  'disk on the real file system': async () => {
    const root = await mkdtemp(join(tmpdir(), 'storage-'));
    const driver = await openDisk({ root });
    return {
      driver,
      leftovers: async () => (await readdir(root, { recursive: true })).filter((path) => unfinished.test(path)),
      [Symbol.asyncDispose]: async () => {
        await driver[Symbol.asyncDispose]();
        await rm(root, { recursive: true });
      },
    };
  },

  'disk on a file system in memory': async () => {
    const fileSystem = new FaultyFileSystem();
    const driver = await openDisk({ root: '/data/registry', fileSystem });
    return {
      driver,
      leftovers: async () => leftoversOf(fileSystem),
      [Symbol.asyncDispose]: async () => driver[Symbol.asyncDispose](),
    };
  },
};

/** What unfinished work has left in a file system. */
export function leftoversOf(fileSystem: FaultyFileSystem): string[] {
  return [...fileSystem.files().keys()].filter((path) => unfinished.test(path));
}
