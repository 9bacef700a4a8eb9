import type { UploadArea, UploadLease } from '../driver.ts';
import { KeyedLock } from '../lock.ts';
import { type Base, DiskLease, type DiskUploadContext } from './disk-lease.ts';
import type { FileHandle } from './file-system.ts';
import { asStorageError, hasCode, readFile, unlessAbsent, writeAll } from './files.ts';
import { dataFile, leaseFile, leases, readRecord, removeUpload, writeRecord } from './upload-folder.ts';

/** Unfinished uploads in a tree of files; `upload-folder.ts` draws what each has. */
export class DiskUploads implements UploadArea, AsyncDisposable {
  readonly #context: DiskUploadContext;
  readonly #live = new Map<string, DiskLease>();
  readonly #opening = new KeyedLock();

  constructor(context: Omit<DiskUploadContext, 'live'>) {
    this.#context = { ...context, live: this.#live };
  }

  async create(id: string, note: string): Promise<void> {
    const folder = this.#folder(id);
    try {
      await this.#context.files.mkdir(folder, { recursive: true });
      await writeRecord(this.#context.files, folder, { generation: 0, offset: 0, note });
    } catch (error) {
      await removeUpload(this.#context.files, folder).catch(() => undefined);
      throw asStorageError(error);
    }
  }

  async state(id: string): Promise<{ offset: number; note: string } | undefined> {
    const record = await readRecord(this.#context.files, this.#folder(id));
    if (record === undefined) return undefined;
    const live = this.#live.get(id);
    const offset = live !== undefined && live.generation > record.generation ? live.offset : record.offset;
    return { offset, note: record.note };
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
    for (const id of await this.#ids()) {
      const record = await readRecord(this.#context.files, this.#folder(id));
      if (record !== undefined) yield { id, idle: await this.#idle(id), note: record.note };
    }
  }

  /** Removes what is left of uploads that cannot go on. */
  async sweep(age: number): Promise<void> {
    const { files } = this.#context;
    for (const id of await this.#ids()) {
      if ((await this.#canGoOn(id)) || (await this.#idle(id)) < age) continue;
      await removeUpload(files, this.#folder(id));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#live.values()].map((lease) => lease.stop()));
  }

  async #open(id: string): Promise<UploadLease | undefined> {
    const folder = this.#folder(id);
    const older = this.#live.get(id);
    await older?.stop();
    const lease = await this.#takeLease(folder);
    const record = lease && (await readRecord(this.#context.files, folder));
    if (lease === undefined || record === undefined) {
      this.#live.delete(id);
      return undefined;
    }
    const base = older?.generation === lease.previous ? older.left() : record;
    const data = await this.#openData(folder, base, lease);
    if (data === undefined) {
      // Nobody can go on with it any more.
      this.#live.delete(id);
      await removeUpload(this.#context.files, folder);
      return undefined;
    }
    const opened = new DiskLease(this.#context, {
      id,
      folder,
      generation: lease.generation,
      inherited: base.generation,
      note: record.note,
      ...data,
    });
    this.#live.set(id, opened);
    return opened;
  }

  /**
   * Makes the next lease's file, which nobody else then can. `previous` is the lease before it, released or not.
   * Undefined: there is no such upload.
   */
  async #takeLease(folder: string): Promise<{ generation: number; previous: number } | undefined> {
    const { files } = this.#context;
    for (;;) {
      const record = await readRecord(files, folder);
      const held = await leases(files, folder);
      if (record === undefined || held === undefined) return undefined;
      const previous = Math.max(record.generation, ...held);
      const generation = previous + 1;
      try {
        await (await files.open(leaseFile(folder, generation), 'wx')).close();
      } catch (error) {
        if (hasCode(error, 'EEXIST')) continue;
        if (hasCode(error, 'ENOENT')) return undefined;
        throw error;
      }
      // Others may have gone on to later leases, and have removed this one's file as an old one, before it was made.
      const now = await leases(files, folder);
      if (now === undefined) return undefined;
      const latest = Math.max(...now) === generation;
      for (const old of latest ? now.filter((lease) => lease < generation) : [generation]) {
        await unlessAbsent(files.unlink(leaseFile(folder, old)));
      }
      if (latest) return { generation, previous };
    }
  }

  /**
   * The data that a lease goes on with, cut to what is known to belong to it. Where the lease before was not released,
   * by a process that may still be writing, it is a copy that only this lease writes to. Undefined: the upload is over, or a
   * power cut took its data.
   */
  async #openData(
    folder: string,
    base: Base,
    lease: { generation: number; previous: number },
  ): Promise<{ handle: FileHandle; file: string; offset: number; durable: number } | undefined> {
    const { files } = this.#context;
    const released = base.generation === lease.previous;
    const fresh = base.file === undefined || !released;
    const file = fresh || base.file === undefined ? dataFile(lease.generation) : base.file;
    const handle = await unlessAbsent(files.open(`${folder}/${file}`, fresh ? 'w' : 'r+'));
    if (handle === undefined) return undefined;
    try {
      if (fresh && base.file !== undefined) {
        let copied = 0;
        for await (const piece of readFile(files, `${folder}/${base.file}`, { start: 0, end: base.offset - 1 })) {
          await writeAll(handle, [piece], copied);
          copied += piece.length;
        }
        return { handle, file, offset: copied, durable: 0 };
      }
      const { size, nlink } = await handle.stat();
      // It has become a blob, and a power cut has kept both names of the rename.
      if (nlink > 1) {
        await handle.close();
        return undefined;
      }
      if (size > base.offset) await handle.truncate(base.offset);
      const offset = Math.min(size, base.offset);
      return { handle, file, offset, durable: Math.min(offset, base.durable ?? offset) };
    } catch (error) {
      await handle.close();
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** False: it was torn as it was made or ended, or its data has become a blob. */
  async #canGoOn(id: string): Promise<boolean> {
    const { files } = this.#context;
    const record = await readRecord(files, this.#folder(id));
    if (record?.file === undefined) return record !== undefined;
    return (await unlessAbsent(files.stat(`${this.#folder(id)}/${record.file}`))) !== undefined;
  }

  async #ids(): Promise<string[]> {
    const { files, folder } = this.#context;
    return (await files.readdir(folder, { withFileTypes: true })).map(({ name }) => name);
  }

  /** ms since something of an upload was written. */
  async #idle(id: string): Promise<number> {
    const { files } = this.#context;
    const folder = this.#folder(id);
    const entries = (await unlessAbsent(files.readdir(folder, { withFileTypes: true }))) ?? [];
    const paths = [folder, ...entries.map(({ name }) => `${folder}/${name}`)];
    const stats = await Promise.all(paths.map((path) => unlessAbsent(files.stat(path))));
    return Math.max(0, Date.now() - Math.max(0, ...stats.map((one) => one?.mtimeMs ?? 0)));
  }

  #folder(id: string): string {
    return `${this.#context.folder}/${id}`;
  }
}
