import { dirname } from 'node:path';
import { BoundedMap } from '../bounded-map.ts';
import { directoriesUp, hasCode, unlessAbsent } from './files.ts';
import type { FileHandle, FileSystem, Stats } from './file-system.ts';

/**
 * Makes names durable: a file's name is so once its directory was synced after it was given, and so on upwards.
 *
 * What is known to be durable is remembered, within bounds; what is not is synced again, which is always right.
 */
export class Durability {
  readonly #files: FileSystem;
  readonly #root: string;
  /** Resolved once a directory's name is durable. A directory that is removed loses its entry, and its successor gets its own. */
  readonly #directories = new BoundedMap<string, Promise<void>>(20_000);
  /** The file whose name is durable; another one may be given the same name. */
  readonly #names = new BoundedMap<string, string>(20_000);
  readonly #syncs = new Map<string, { running: Promise<void>; next?: Promise<void> }>();

  /** `root` is durable already. */
  constructor(files: FileSystem, root: string) {
    this.#files = files;
    this.#root = root;
  }

  /** Gives a file its final name; it is durable after `settleNew`. */
  async place(from: string, to: string): Promise<void> {
    // Another writer may remove the directory between the two steps.
    for (let attempt = 1; ; attempt += 1) {
      await this.#makeDirectory(to);
      try {
        return await this.#files.rename(from, to);
      } catch (error) {
        if (attempt === 3 || !hasCode(error, 'ENOENT')) throw error;
      }
    }
  }

  /** Gives a file another name, unless something has that name by now. It is durable after `settle`. */
  async placeIfAbsent(from: string, to: string): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      await this.#makeDirectory(to);
      try {
        return await this.#files.link(from, to);
      } catch (error) {
        if (hasCode(error, 'EEXIST')) return;
        if (attempt === 3 || !hasCode(error, 'ENOENT')) throw error;
      }
    }
  }

  async #makeDirectory(path: string): Promise<void> {
    const directory = dirname(path);
    const first = await this.#files.mkdir(directory, { recursive: true });
    if (first === undefined) return;
    // Someone removed and this call made it again: what was known of it is past.
    for (const made of directoriesUp(path, dirname(first))) this.#directories.delete(made);
  }

  /** A file was given this name just now; its bytes were synced before. */
  async settleNew(path: string, file: Stats): Promise<void> {
    const directory = dirname(path);
    await Promise.all([this.sync(directory), this.#settleDirectory(directory)]);
    this.#names.set(path, identity(file));
  }

  /** A file may have been written, and given this name, by somebody who synced nothing. An absent one is left alone. */
  async settle(path: string): Promise<void> {
    const stats = await unlessAbsent(this.#files.stat(path));
    if (stats === undefined || this.#names.get(path) === identity(stats)) return;
    await this.#during(path, (file) => file.datasync());
    await this.settleNew(path, stats);
  }

  /** What lies at a path, or below it, is no longer what it was. */
  forget(path: string): void {
    const below = (key: string): boolean => key === path || key.startsWith(`${path}/`);
    for (const map of [this.#directories, this.#names]) {
      for (const key of map.keys()) if (below(key)) map.delete(key);
    }
  }

  async #settleDirectory(directory: string): Promise<void> {
    if (directory === this.#root) return;
    const known = this.#directories.get(directory);
    if (known !== undefined) return known;
    const above = dirname(directory);
    const settled = together(this.sync(above), this.#settleDirectory(above));
    this.#directories.set(directory, settled);
    settled.catch(() => {
      if (this.#directories.get(directory) === settled) this.#directories.delete(directory);
    });
    return settled;
  }

  /**
   * Syncs a directory. Calls at the same time share one sync, but never one that has begun already: that may not cover
   * what the caller did. A directory that is gone has no names to save.
   */
  async sync(directory: string): Promise<void> {
    const sync = this.#syncs.get(directory);
    if (sync === undefined) return this.#start(directory);
    sync.next ??= sync.running.then(
      () => this.#start(directory),
      () => this.#start(directory),
    );
    return sync.next;
  }

  #start(directory: string): Promise<void> {
    const running = this.#sync(directory);
    const sync: { running: Promise<void>; next?: Promise<void> } = { running };
    this.#syncs.set(directory, sync);
    const end = (): void => {
      if (this.#syncs.get(directory) === sync && sync.next === undefined) this.#syncs.delete(directory);
    };
    running.then(end, end);
    return running;
  }

  #sync(directory: string): Promise<void> {
    return this.#during(directory, (handle) => handle.sync());
  }

  /** Does something with what lies at a path; nothing, if it is gone. */
  async #during(path: string, work: (handle: FileHandle) => Promise<void>): Promise<void> {
    const handle = await unlessAbsent(this.#files.open(path, 'r'));
    if (handle === undefined) return;
    try {
      await work(handle);
    } finally {
      await handle.close();
    }
  }
}

async function together(...works: Promise<void>[]): Promise<void> {
  await Promise.all(works);
}

/** Inode numbers are used again, and two files may have the same time; hardly both. */
export function identity({ ino, mtimeMs }: Stats): string {
  return `${ino} ${mtimeMs}`;
}
