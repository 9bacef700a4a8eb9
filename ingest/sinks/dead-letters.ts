import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Log } from '../log.ts';
import {
  hasCode,
  nodeFileSystem,
  syncDirectory,
  writeAll,
  type FileHandle,
  type FileSystem,
} from '../spool/file-system.ts';

/** A document that a sink rejected for good. */
export interface DeadLetter {
  readonly id: string;
  /** The sink's own words. */
  readonly reason: string;
  /** The document as JSON text. */
  readonly document: string;
}

/** How the dead letters are kept. */
export interface DeadLetterOptions {
  /** `<data>/dead-letters`; made if need be. */
  readonly directory: string;
  /** Bytes of all files together. Beyond it the oldest file is deleted, with a warning. */
  readonly maxBytes: number;
  readonly log: Log;
  readonly fileSystem?: FileSystem;
}

/** The place for documents that no sink will ever take, so that they can be looked at and sent again. */
export interface DeadLetters extends AsyncDisposable {
  /**
   * Keeps letters, in their order; they survive a power cut once it resolves. After a rejection they may be kept or
   * not, and are to be added again; a letter may then be there twice, with one id.
   */
  add(letters: readonly DeadLetter[]): Promise<void>;
  /** Documents since the start: kept, and deleted again because of `maxBytes`. */
  readonly counts: { readonly added: number; readonly dropped: number };
}

/**
 * Opens the dead letters of a directory.
 *
 * Files are named `<µs since 1970>-<random>.ndjson`, so they sort by age. A line is
 * `{"id":…,"reason":…,"at":"2026-11-24T12:00:00.000Z","document":{…}}`. Each life starts a new file, and so does a
 * failure: what follows a torn line would be lost with it. A line without its LF was never acknowledged.
 */
export async function openDeadLetters(options: DeadLetterOptions): Promise<DeadLetters> {
  const { directory, fileSystem = nodeFileSystem } = options;
  await fileSystem.mkdir(directory, { recursive: true });
  await syncDirectory(fileSystem, dirname(directory));
  const names = (await fileSystem.readdir(directory)).filter((name) => name.endsWith('.ndjson')).toSorted();
  const files = new Map<string, number>();
  for (const name of names) files.set(name, (await fileSystem.stat(join(directory, name))).size);
  return new Directory(options, fileSystem, files);
}

/** Files at the bound: so much is lost at once when the oldest goes. */
const files = 8;

class Directory implements DeadLetters {
  readonly #options: DeadLetterOptions;
  readonly #fs: FileSystem;
  /** Sizes by name, oldest first. */
  readonly #files: Map<string, number>;
  #current: { readonly name: string; readonly file: FileHandle } | undefined;
  #last: Promise<void> = Promise.resolve();
  #added = 0;
  #dropped = 0;

  constructor(options: DeadLetterOptions, fileSystem: FileSystem, sizes: Map<string, number>) {
    this.#options = options;
    this.#fs = fileSystem;
    this.#files = sizes;
  }

  get counts(): { readonly added: number; readonly dropped: number } {
    return { added: this.#added, dropped: this.#dropped };
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
    const name = `${String(Date.now() * 1000).padStart(17, '0')}-${randomBytes(6).toString('hex')}.ndjson`;
    const file = await this.#fs.open(join(this.#options.directory, name), 'wx');
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
    const { directory, maxBytes, log } = this.#options;
    for (const [name, size] of this.#files) {
      const total = this.#files.values().reduce((sum, size) => sum + size, 0);
      if (total <= maxBytes || this.#files.size === 1) return;
      try {
        const letters = (await this.#fs.readFile(join(directory, name))).filter((byte) => byte === lineFeed).length;
        await this.#fs.unlink(join(directory, name));
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
  }
}

const lineFeed = 0x0a;

function toLine({ id, reason, document }: DeadLetter): string {
  const head = JSON.stringify({ id, reason, at: new Date().toISOString() }).slice(0, -1);
  return `${head},"document":${isJson(document) ? document : JSON.stringify(document)}}\n`;
}

/** Whether a text can stand in a line as it is. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return !/[\n\r]/.test(text);
  } catch {
    return false;
  }
}
