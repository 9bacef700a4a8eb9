import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Log } from '../log.ts';
import {
  hasCode,
  nodeFileSystem,
  replaceFile,
  syncDirectory,
  writeAll,
  type FileHandle,
  type FileSystem,
  ownerOnly,
} from '../spool/file-system.ts';
import { takeSqliteLock, type Lock, type TakeLock } from '../spool/lock.ts';
import { fromLine, toLine, type DeadLetter, type KeptLetter } from './dead-letter-lines.ts';

/** How the dead letters are kept. */
export interface DeadLetterOptions {
  /** `<data>/dead-letters`; made if need be. */
  readonly directory: string;
  /** Bytes of all files together. Beyond it the oldest file is deleted, with a warning. */
  readonly maxBytes: number;
  readonly log: Log;
  readonly fileSystem?: FileSystem;
  readonly takeLock?: TakeLock;
}

/** The place for documents that no sink will ever take, so that they can be looked at and sent again. */
export interface DeadLetters extends AsyncDisposable {
  /**
   * Keeps letters, in their order; they survive a power cut once it resolves. After a rejection they may be kept or
   * not, and are to be added again; a letter may then be there twice, with one id.
   */
  add(letters: readonly DeadLetter[]): Promise<void>;
  /** All that are kept, oldest first; also those of other processes. One may come twice. */
  read(): AsyncGenerator<KeptLetter, void, undefined>;
  /**
   * Removes those with the given ids, or all; answers how many it removed. What a living process of the same directory
   * keeps is left to that one.
   */
  remove(ids?: ReadonlySet<string>): Promise<number>;
  /** Documents since the start: kept, removed, and deleted because of `maxBytes`. */
  readonly counts: { readonly added: number; readonly removed: number; readonly dropped: number };
  /** Bytes of what is kept. */
  readonly size: number;
}

/**
 * Opens the dead letters of a directory.
 *
 * Files are named `<µs since 1970>-<life>.ndjson`, so they sort by age; a life that goes on holds the lock
 * `<life>.lock`, and nobody else writes its files. Each life starts a new file, and so does a failure: what follows a
 * torn line would be lost with it. A line without its LF was never acknowledged.
 */
export async function openDeadLetters(options: DeadLetterOptions): Promise<DeadLetters> {
  const { directory, fileSystem = nodeFileSystem, takeLock = takeSqliteLock } = options;
  await fileSystem.mkdir(directory, { recursive: true, mode: ownerOnly });
  await syncDirectory(fileSystem, dirname(directory));
  const all = await fileSystem.readdir(directory);
  for (const name of all.filter((name) => name.endsWith('.lock'))) {
    using lock = takeLock(join(directory, name));
    if (lock !== undefined) await fileSystem.unlink(join(directory, name));
  }
  const names = all.filter((name) => name.endsWith('.ndjson')).toSorted();
  const files = new Map<string, number>();
  for (const name of names) files.set(name, (await fileSystem.stat(join(directory, name))).size);
  const life = randomBytes(6).toString('hex');
  const lock = takeLock(join(directory, `${life}.lock`));
  if (lock === undefined) throw new Error(`the lock ${life} in ${directory} is taken`);
  return new Directory(options, { fileSystem, takeLock, life, lock }, files);
}

/** What one life works with. */
interface Life {
  readonly fileSystem: FileSystem;
  readonly takeLock: TakeLock;
  readonly life: string;
  readonly lock: Lock;
}

/** Files at the bound: so much is lost at once when the oldest goes. */
const files = 8;

class Directory implements DeadLetters {
  readonly #options: DeadLetterOptions;
  readonly #fs: FileSystem;
  readonly #life: Life;
  /** Sizes by name, oldest first. */
  readonly #files: Map<string, number>;
  #current: { readonly name: string; readonly file: FileHandle } | undefined;
  #last: Promise<void> = Promise.resolve();
  #createdAt = 0;
  #added = 0;
  #removed = 0;
  #dropped = 0;

  constructor(options: DeadLetterOptions, life: Life, sizes: Map<string, number>) {
    this.#options = options;
    this.#fs = life.fileSystem;
    this.#life = life;
    this.#files = sizes;
  }

  get counts(): DeadLetters['counts'] {
    return { added: this.#added, removed: this.#removed, dropped: this.#dropped };
  }

  get size(): number {
    return this.#files.values().reduce((sum, size) => sum + size, 0);
  }

  add(letters: readonly DeadLetter[]): Promise<void> {
    const lines = Buffer.from(letters.map(toLine).join(''));
    const added = this.#last.then(async () => {
      if (letters.length === 0) return;
      await this.#append(lines);
      this.#added += letters.length;
      await this.#shrink();
    });
    this.#last = added.catch(() => undefined);
    return added;
  }

  async *read(): AsyncGenerator<KeptLetter, void, undefined> {
    await this.#last;
    for (const name of await this.#names()) {
      for (const line of await this.#lines(name)) {
        const letter = fromLine(line);
        if (letter !== undefined) yield letter;
      }
    }
  }

  remove(ids?: ReadonlySet<string>): Promise<number> {
    const removed = this.#last.then(() => this.#remove(ids));
    this.#last = removed.then(
      () => undefined,
      () => undefined,
    );
    return removed;
  }

  async #remove(ids: ReadonlySet<string> | undefined): Promise<number> {
    await this.#seal();
    let removed = 0;
    for (const [life, names] of Map.groupBy(await this.#names(), lifeOf)) {
      using lock = life === this.#life.life ? noLock : this.#life.takeLock(this.#path(`${life}.lock`));
      if (lock === undefined) continue;
      for (const name of names) removed += await this.#rewrite(name, ids);
      if (life !== this.#life.life) await this.#unlink(`${life}.lock`);
    }
    this.#removed += removed;
    return removed;
  }

  /** Leaves letters out of a file, which goes when nothing is left of it; answers how many. */
  async #rewrite(name: string, ids: ReadonlySet<string> | undefined): Promise<number> {
    const lines = await this.#lines(name);
    const kept = ids === undefined ? [] : lines.filter((line) => !ids.has(fromLine(line)?.id ?? ''));
    if (kept.length === lines.length) return 0;
    if (kept.length === 0) {
      await this.#unlink(name);
      this.#files.delete(name);
    } else {
      const bytes = Buffer.from(kept.map((line) => `${line}\n`).join(''));
      await replaceFile(this.#fs, this.#options.directory, name, bytes);
      this.#files.set(name, bytes.length);
    }
    return lines.length - kept.length;
  }

  /** Whole lines, without their LF. */
  async #lines(name: string): Promise<string[]> {
    try {
      return Buffer.from(await this.#fs.readFile(this.#path(name)))
        .toString()
        .split('\n')
        .slice(0, -1);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
  }

  /** Files of letters, oldest first. */
  async #names(): Promise<string[]> {
    const names = await this.#fs.readdir(this.#options.directory);
    return names.filter((name) => name.endsWith('.ndjson')).toSorted();
  }

  #path(name: string): string {
    return join(this.#options.directory, name);
  }

  async #unlink(name: string): Promise<void> {
    try {
      await this.#fs.unlink(this.#path(name));
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }

  async #append(lines: Buffer): Promise<void> {
    const { name, file } = this.#current ?? (await this.#create());
    try {
      const size = this.#files.get(name) ?? 0;
      await writeAll(file, [lines], size);
      await file.datasync();
      this.#files.set(name, size + lines.length);
      if (size + lines.length >= this.#options.maxBytes / files) await this.#seal();
    } catch (error) {
      await this.#seal().catch(() => undefined);
      throw error;
    }
  }

  async #create(): Promise<{ readonly name: string; readonly file: FileHandle }> {
    this.#createdAt = Math.max(Date.now() * 1000, this.#createdAt + 1);
    const name = `${String(this.#createdAt).padStart(17, '0')}-${this.#life.life}.ndjson`;
    const file = await this.#fs.open(this.#path(name), 'wx');
    this.#files.set(name, 0);
    this.#current = { name, file };
    try {
      await syncDirectory(this.#fs, this.#options.directory);
    } catch (error) {
      await this.#seal().catch(() => undefined);
      throw error;
    }
    return this.#current;
  }

  async #seal(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await current?.file.close();
  }

  /** Deletes the oldest files until the rest fits; the one that is written to stays. A failure is left for next time. */
  async #shrink(): Promise<void> {
    const { maxBytes, log } = this.#options;
    for (const [name, size] of this.#files) {
      if (this.size <= maxBytes || this.#files.size === 1) return;
      try {
        const letters = (await this.#fs.readFile(this.#path(name))).filter((byte) => byte === lineFeed).length;
        await this.#fs.unlink(this.#path(name));
        this.#dropped += letters;
        log.error({ file: name, letters, bytes: size }, 'the dead letters are full: their oldest file was deleted');
      } catch (error) {
        // Another process may have deleted it.
        if (!hasCode(error, 'ENOENT')) {
          log.error({ file: name, err: error }, 'the dead letters are full, and their oldest file cannot be deleted');
          return;
        }
      }
      this.#files.delete(name);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    await this.#seal();
    this.#life.lock[Symbol.dispose]();
    await this.#unlink(`${this.#life.life}.lock`);
  }
}

const noLock: Lock = { [Symbol.dispose]: () => undefined };

/** The life that wrote a file. */
function lifeOf(name: string): string {
  return name.replace(/^\d+-|\.ndjson$/g, '');
}

const lineFeed = 0x0a;
