import { randomUUID } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import type { Content, Driver, Entry, Span } from '../driver.ts';
import { temporaryFolder, uploadsFolder } from '../layout.ts';
import { parallel } from '../parallel.ts';
import { checkAccess, FolderAccessError } from './disk-access.ts';
import { DiskUploads } from './disk-uploads.ts';
import { Durability, identity } from './durability.ts';
import type { FileSystem, Stats } from './file-system.ts';
import { asStorageError, hasCode, readFile, readSmall, remove, unlessAbsent, walkFiles, writeAll } from './files.ts';
import { coarsestClock, KeptFiles } from './kept-files.ts';
import { nodeFileSystem } from './node-file-system.ts';

/**
 * Opens a tree of files, in which each key is a file's path below `root`. Other processes may use it at the same time.
 * @throws {FolderAccessError} where some of the tree is not this user's to read and change.
 * @throws {Error} where it cannot be made or read.
 */
export async function openDisk(options: { root: string; fileSystem?: FileSystem }): Promise<Driver> {
  const files = options.fileSystem ?? nodeFileSystem;
  const root = resolve(options.root);
  const durability = new Durability(files, root);
  try {
    await files.mkdir(root, { recursive: true });
    await checkAccess(files, root);
    for (const folder of [temporaryFolder, uploadsFolder]) {
      await files.mkdir(`${root}/${folder}`, { recursive: true });
    }
    await settleRoot(root, durability);
  } catch (error) {
    if (error instanceof FolderAccessError) throw error;
    throw new Error(`the registry's folder ${root} cannot be used`, { cause: error });
  }
  const { type } = await files.statfs(root);
  return new DiskDriver({ files, root, durability, kept: new KeptFiles(files, type) });
}

/** Makes the names that lead to the root durable, as far as this user may. */
async function settleRoot(root: string, durability: Durability): Promise<void> {
  for (let directory = root; directory !== dirname(directory); directory = dirname(directory)) {
    try {
      await durability.sync(dirname(directory));
    } catch (error) {
      // Whoever made a directory that this user cannot open has made it before this process came.
      if (!hasCode(error, 'EACCES', 'EPERM')) throw error;
    }
  }
}

/** What a tree is kept by. */
interface DiskParts {
  readonly files: FileSystem;
  readonly root: string;
  readonly durability: Durability;
  readonly kept: KeptFiles;
}

const width = 16;

class DiskDriver implements Driver {
  readonly uploads: DiskUploads;
  readonly #files: FileSystem;
  readonly #root: string;
  readonly #durability: Durability;
  readonly #kept: KeptFiles;

  constructor({ files, root, durability, kept }: DiskParts) {
    this.#files = files;
    this.#root = root;
    this.#durability = durability;
    this.#kept = kept;
    this.uploads = new DiskUploads({
      files,
      durability,
      folder: this.#path(uploadsFolder),
      root,
    });
  }

  async stat(key: string): Promise<{ size: number } | undefined> {
    const stats = await unlessAbsent(this.#files.stat(this.#path(key)));
    return stats?.isFile() === true ? { size: stats.size } : undefined;
  }

  get(key: string, limit: number): Promise<Uint8Array | undefined> {
    return this.#kept.read(this.#path(key), limit);
  }

  read(key: string, span: Span): AsyncIterable<Uint8Array> {
    return readFile(this.#files, this.#path(key), span);
  }

  async put(key: string, bytes: Uint8Array, options = { hint: false }): Promise<void> {
    if (!options.hint) return this.putInSteps([[{ key, bytes }]]);
    const temporary = this.#temporary();
    try {
      await this.#write(temporary, bytes, { durable: false });
      await this.#durability.place(temporary, this.#path(key));
    } catch (error) {
      await remove(this.#files, temporary).catch(() => undefined);
      throw asStorageError(error);
    }
  }

  async putInSteps(steps: readonly (readonly Content[])[]): Promise<void> {
    const temporaries: string[] = [];
    const write = async ({ key, bytes }: Content): Promise<{ path: string; temporary: string; file: Stats }> => {
      const temporary = this.#temporary();
      temporaries.push(temporary);
      return { path: this.#path(key), temporary, file: await this.#write(temporary, bytes, { durable: true }) };
    };
    try {
      // The bytes of all steps are synced at once; then one step after the other gets its names.
      const written = await parallel(steps, width, (step) => parallel(step, width, write));
      for (const step of written) {
        await parallel(step, width, ({ path, temporary }) => this.#durability.place(temporary, path));
        // Only then: each folder is synced once for all of them.
        await parallel(step, width, ({ path, file }) => this.#durability.settleNew(path, file));
      }
    } catch (error) {
      for (const temporary of temporaries) await remove(this.#files, temporary).catch(() => undefined);
      throw asStorageError(error);
    }
  }

  async delete(key: string, options = { hint: false }): Promise<boolean> {
    const path = this.#path(key);
    const temporary = this.#temporary();
    try {
      this.#durability.forget(path);
      const taken = await unlessAbsent(this.#files.rename(path, temporary).then(() => true));
      this.#durability.forget(path);
      if (taken === undefined) return false;
      // Ahead of its pieces: else a power cut could bring it back without some of them.
      if (!options.hint) await this.#durability.sync(dirname(path));
    } catch (error) {
      throw asStorageError(error);
    } finally {
      // It is deleted; what may be left of it among the temporaries is only litter.
      await remove(this.#files, temporary).catch(() => undefined);
    }
    return true;
  }

  async deleteSame(key: string, bytes: Uint8Array, within: string): Promise<boolean> {
    const path = this.#path(key);
    const temporary = this.#temporary();
    const isSame = async (at: string): Promise<boolean> => {
      const found = await readSmall(this.#files, at, bytes.length);
      return found !== undefined && Buffer.compare(found, bytes) === 0;
    };
    try {
      if (!(await isSame(path))) return false;
      this.#durability.forget(path);
      const taken = await unlessAbsent(this.#files.rename(path, temporary).then(() => true));
      this.#durability.forget(path);
      if (taken === undefined) return false;
      // Another process may have put something else since it was looked at: that goes back, unless it was put once more.
      if (!(await isSame(temporary))) {
        await this.#durability.placeIfAbsent(temporary, path);
        await this.#durability.settle(path);
        return false;
      }
      await this.#durability.sync(dirname(path));
      await this.#removeEmpty(dirname(path), this.#path(within));
      return true;
    } catch (error) {
      throw asStorageError(error);
    } finally {
      await remove(this.#files, temporary).catch(() => undefined);
    }
  }

  async list(folder: string): Promise<Entry[]> {
    const entries = await unlessAbsent(this.#files.readdir(this.#path(folder), { withFileTypes: true }));
    return (entries ?? []).map((entry) => ({ name: entry.name, folder: entry.isDirectory() }));
  }

  async version(folder: string): Promise<string | undefined> {
    const stats = await unlessAbsent(this.#files.stat(this.#path(folder)));
    // A later change may get the same time, where the clock of a file system is coarse: FAT's has two seconds.
    const isSure = stats?.isDirectory() === true && Date.now() - stats.mtimeMs > coarsestClock;
    return isSure ? identity(stats) : undefined;
  }

  async settle(keys: readonly string[]): Promise<void> {
    try {
      await Promise.all(keys.map((key) => this.#durability.settle(this.#path(key))));
    } catch (error) {
      throw asStorageError(error);
    }
  }

  walk(folder: string, after = ''): AsyncIterable<{ key: string; size: number }> {
    return walkFiles(this.#files, this.#root, folder, after);
  }

  async move(from: string, to: string): Promise<boolean> {
    const [source, target] = [this.#path(from), this.#path(to)];
    try {
      const stats = await unlessAbsent(this.#files.stat(source));
      if (stats?.isFile() !== true) return false;
      this.#durability.forget(source);
      const placed = await unlessAbsent(this.#durability.place(source, target).then(() => true));
      this.#durability.forget(source);
      if (placed === undefined) return false;
      // The new name before the old one's end: a power cut may leave both, never neither.
      await this.#durability.settleNew(target, stats);
      await this.#durability.sync(dirname(source));
      return true;
    } catch (error) {
      throw asStorageError(error);
    }
  }

  async sweep(age: number): Promise<void> {
    const folder = this.#path(temporaryFolder);
    for (const { name } of await this.#files.readdir(folder, { withFileTypes: true })) {
      const stats = await unlessAbsent(this.#files.stat(`${folder}/${name}`));
      if (stats !== undefined && Date.now() - stats.mtimeMs >= age) await remove(this.#files, `${folder}/${name}`);
    }
    await this.uploads.sweep(age);
  }

  async free(): Promise<number> {
    const { bavail, bsize } = await this.#files.statfs(this.#root);
    return bavail * bsize;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.uploads[Symbol.asyncDispose]();
  }

  /** Removes a folder, and those above it up to `last`, while they are empty. */
  async #removeEmpty(folder: string, last: string): Promise<void> {
    for (let at = folder; at === last || at.startsWith(`${last}/`); at = dirname(at)) {
      try {
        await unlessAbsent(this.#files.rmdir(at));
      } catch (error) {
        if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return;
        throw error;
      }
      this.#durability.forget(at);
    }
  }

  /** Makes a new file of these bytes. */
  async #write(path: string, bytes: Uint8Array, { durable }: { durable: boolean }): Promise<Stats> {
    const handle = await this.#files.open(path, 'wx');
    try {
      await writeAll(handle, [bytes], 0);
      if (durable) await handle.datasync();
      return await handle.stat();
    } finally {
      await handle.close();
    }
  }

  #temporary(): string {
    return this.#path(`${temporaryFolder}/${randomUUID()}`);
  }

  #path(key: string): string {
    return `${this.#root}/${key}`;
  }
}
