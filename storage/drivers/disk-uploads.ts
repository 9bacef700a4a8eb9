import { randomUUID } from 'node:crypto';
import type { UploadArea, UploadLease } from '../driver.ts';
import { KeyedLock } from '../lock.ts';
import { type Base, DiskLease, type DiskUploadContext } from './disk-lease.ts';
import type { FileHandle } from './file-system.ts';
import { asStorageError, hasCode, readFile, remove, unlessAbsent, writeAll } from './files.ts';
import { UploadData } from './upload-data.ts';
import {
  beginLog,
  dataFile,
  latestLease,
  readLog,
  removeUpload,
  type UploadHistory,
  UploadLog,
  uploadOfData,
} from './upload-log.ts';

/** Leases whose files are looked for, where none of them has left anything. */
const mostLost = 100;

/** Unfinished uploads in a tree of files; `upload-log.ts` says what each has. */
export class DiskUploads implements UploadArea, AsyncDisposable {
  readonly #context: DiskUploadContext;
  readonly #live = new Map<string, DiskLease>();
  readonly #opening = new KeyedLock();

  constructor(context: Omit<DiskUploadContext, 'live'>) {
    this.#context = { ...context, live: this.#live };
  }

  async create(id: string, note: string): Promise<void> {
    try {
      await beginLog(this.#context.files, this.#path(id), note);
    } catch (error) {
      await this.#remove([id]).catch(() => undefined);
      throw asStorageError(error);
    }
  }

  async state(id: string): Promise<{ offset: number; note: string } | undefined> {
    const history = await this.#read(id);
    if (history === undefined) return undefined;
    const { state } = history;
    const live = this.#live.get(id);
    const offset = live !== undefined && live.generation > state.generation ? live.offset : state.offset;
    return { offset, note: state.note };
  }

  async open(id: string): Promise<UploadLease | undefined> {
    return this.#opening.alone(id, async () => {
      try {
        return await this.#open(id);
      } catch (error) {
        throw asStorageError(error);
      }
    });
  }

  async *list(): AsyncGenerator<{ id: string; idle: number; note: string }, void, void> {
    for (const name of await this.#names()) {
      const history = uploadOfData(name) === undefined ? await this.#read(name) : undefined;
      if (history !== undefined) yield { id: name, idle: await this.#idle(name, history), note: history.state.note };
    }
  }

  /** Removes what is left of uploads that cannot go on. */
  async sweep(age: number): Promise<void> {
    const { files } = this.#context;
    for (const name of await this.#names()) {
      const stats = await unlessAbsent(files.stat(this.#path(name)));
      if (stats === undefined || Date.now() - stats.mtimeMs < age || (await this.#isOfUse(name))) continue;
      await remove(files, this.#path(name));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#live.values()].map((lease) => lease.stop()));
  }

  async #open(id: string): Promise<UploadLease | undefined> {
    const older = this.#live.get(id);
    await older?.stop();
    const taken = await UploadLog.take(this.#context.files, this.#path(id), randomUUID());
    if (taken === undefined) {
      this.#live.delete(id);
      return undefined;
    }
    const { log, lease: generation, before } = taken;
    try {
      const previous = latestLease(before);
      const base = older?.generation === previous ? older.left() : before.state;
      const litter = litterOf(id, base, previous);
      const data = await this.#openData(id, base, { generation, previous });
      if (data === undefined) {
        // Nobody can go on with it any more.
        this.#live.delete(id);
        await log.close();
        await this.#remove([id, ...(base.file === undefined ? [] : [base.file]), ...litter]);
        return undefined;
      }
      const inherited = base.generation;
      const { note } = before.state;
      const lease = new DiskLease(this.#context, { id, log, generation, inherited, note, litter, ...data });
      this.#live.set(id, lease);
      return lease;
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  /**
   * The data that a lease goes on with, cut to what is known to belong to it. Where the lease before was not released,
   * by a process that may still be writing, it is a copy that only this lease writes to. Undefined: the upload is over, or a
   * power cut took its data.
   */
  async #openData(
    id: string,
    base: Base,
    lease: { generation: number; previous: number },
  ): Promise<{ data: UploadData; file: string } | undefined> {
    const { files } = this.#context;
    const released = base.generation === lease.previous;
    const fresh = base.file === undefined || !released;
    const file = fresh || base.file === undefined ? dataFile(id, lease.generation) : base.file;
    const handle = fresh ? await this.#begin(file) : await unlessAbsent(files.open(this.#path(file), 'r+'));
    if (handle === undefined) return undefined;
    try {
      if (fresh && base.file !== undefined) {
        let copied = 0;
        for await (const piece of readFile(files, this.#path(base.file), { start: 0, end: base.offset - 1 })) {
          await writeAll(handle, [piece], copied);
          copied += piece.length;
        }
        return { file, data: new UploadData(handle, { size: copied, durable: 0 }) };
      }
      const { size, nlink } = await handle.stat();
      // It has become a blob, and a power cut has kept both names of the rename.
      if (nlink > 1) {
        await handle.close();
        return undefined;
      }
      if (size > base.offset) await handle.truncate(base.offset);
      const left = Math.min(size, base.offset);
      return { file, data: new UploadData(handle, { size: left, durable: Math.min(left, base.durable ?? left) }) };
    } catch (error) {
      await handle.close();
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** A new file. A power cut may have taken a lease's line and left its data, which may have become a blob as well. */
  async #begin(file: string): Promise<FileHandle> {
    const { files } = this.#context;
    try {
      return await files.open(this.#path(file), 'wx');
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      await this.#remove([file]);
      return files.open(this.#path(file), 'wx');
    }
  }

  /** False: it is what is left of an upload that was torn as it was made or ended, or of a lease that was lost. */
  async #isOfUse(name: string): Promise<boolean> {
    const id = uploadOfData(name);
    const history = await this.#read(id ?? name);
    if (history === undefined) return false;
    const { file } = history.state;
    if (id !== undefined) return name === file || name === dataFile(id, latestLease(history));
    return file === undefined || (await unlessAbsent(this.#context.files.stat(this.#path(file)))) !== undefined;
  }

  async #names(): Promise<string[]> {
    const { files, folder } = this.#context;
    return (await files.readdir(folder, { withFileTypes: true })).map(({ name }) => name);
  }

  /** ms since something of an upload was written. */
  async #idle(id: string, history: UploadHistory): Promise<number> {
    const { files } = this.#context;
    const names = new Set([id, history.state.file ?? id, dataFile(id, latestLease(history))]);
    const stats = await Promise.all([...names].map((name) => unlessAbsent(files.stat(this.#path(name)))));
    return Math.max(0, Date.now() - Math.max(0, ...stats.map((one) => one?.mtimeMs ?? 0)));
  }

  #read(id: string): Promise<UploadHistory | undefined> {
    return readLog(this.#context.files, this.#path(id));
  }

  #remove(names: readonly string[]): Promise<void> {
    return removeUpload(this.#context.files, this.#context.folder, names);
  }

  #path(name: string): string {
    return `${this.#context.folder}/${name}`;
  }
}

/** The files of leases that were not released: none of them is of use once the next one leaves a file of its own. */
function litterOf(id: string, base: Base, previous: number): readonly string[] {
  if (base.generation === previous) return base.litter ?? [];
  const litter = base.file === undefined ? [] : [base.file];
  for (let lease = Math.max(base.generation, previous - mostLost) + 1; lease <= previous; lease += 1) {
    litter.push(dataFile(id, lease));
  }
  return litter;
}
