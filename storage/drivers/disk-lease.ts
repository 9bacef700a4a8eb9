import type { UploadLease } from '../driver.ts';
import { StorageError } from '../errors.ts';
import type { Durability } from './durability.ts';
import type { FileSystem } from './file-system.ts';
import { asStorageError, hasCode, readFile } from './files.ts';
import type { UploadData } from './upload-data.ts';
import { removeUpload, type UploadLog } from './upload-log.ts';

/** What the leases of a driver share. */
export interface DiskUploadContext {
  readonly files: FileSystem;
  readonly durability: Durability;
  /** The tree's top, to which keys are relative. */
  readonly root: string;
  /** The folder of all uploads. */
  readonly folder: string;
  /** The lease of each upload that was taken last in this process and has not been released. */
  readonly live: Map<string, DiskLease>;
}

/** What a lease goes on with. */
export interface Base {
  readonly generation: number;
  readonly offset: number;
  readonly file?: string;
  /** How much of it was synced; absent: all. */
  readonly durable?: number;
  /** Files of the upload that are of no use once a lease leaves its own. */
  readonly litter?: readonly string[];
}

/** The right to write to an upload in a tree of files. */
export class DiskLease implements UploadLease {
  readonly generation: number;
  readonly inherited: number;
  readonly note: string;
  readonly #context: DiskUploadContext;
  readonly #id: string;
  readonly #log: UploadLog;
  readonly #file: string;
  readonly #litter: readonly string[];
  readonly #data: UploadData;
  #state: 'held' | 'taken over' | 'ended' = 'held';
  #open = true;
  #busy: Promise<unknown> = Promise.resolve();

  constructor(
    context: DiskUploadContext,
    lease: {
      id: string;
      log: UploadLog;
      generation: number;
      inherited: number;
      note: string;
      file: string;
      data: UploadData;
      litter: readonly string[];
    },
  ) {
    this.#context = context;
    this.#id = lease.id;
    this.#log = lease.log;
    this.generation = lease.generation;
    this.inherited = lease.inherited;
    this.note = lease.note;
    this.#file = lease.file;
    this.#data = lease.data;
    this.#litter = lease.litter;
  }

  get offset(): number {
    return this.#data.size;
  }

  async append(chunks: readonly Uint8Array[]): Promise<void> {
    await this.#during(() => this.#data.append(chunks));
  }

  read(): AsyncIterable<Uint8Array> {
    return readFile(this.#context.files, `${this.#context.folder}/${this.#file}`, { start: 0, end: this.offset - 1 });
  }

  async save(note: string): Promise<void> {
    await this.#finally(async () => {
      await this.#check();
      await this.#data.sync();
      await this.#log.leave({ offset: this.offset, file: this.#file, note });
      this.#release();
      await this.#remove(this.#litter).catch(() => undefined);
    });
  }

  async commit(key: string): Promise<void> {
    const { durability, folder, root } = this.#context;
    const path = `${root}/${key}`;
    await this.#finally(async () => {
      await this.#check();
      await this.#data.sync();
      const file = await this.#data.stat();
      await durability.place(`${folder}/${this.#file}`, path);
      this.#release();
      try {
        await durability.settleNew(path, file);
      } finally {
        // The blob is what counts; what may be left of the upload is only litter.
        await this.#remove([this.#id, ...this.#litter]).catch(() => undefined);
      }
    });
  }

  async abort(): Promise<void> {
    await this.#finally(async () => {
      await this.#remove([this.#id, this.#file, ...this.#litter]);
      this.#release();
    });
  }

  /** Takes the lease away, and waits until nothing is written under it any more. */
  async stop(): Promise<void> {
    if (this.#state === 'held') this.#state = 'taken over';
    await this.#busy.catch(() => undefined);
    await this.#close();
  }

  /** What the next lease of this process goes on with. */
  left(): Base {
    return {
      generation: this.generation,
      offset: this.offset,
      file: this.#file,
      durable: this.#data.durable,
      litter: this.#litter,
    };
  }

  #release(): void {
    if (this.#context.live.get(this.#id) === this) this.#context.live.delete(this.#id);
  }

  /** Does something under the lease, by which it ends. */
  async #finally(work: () => Promise<void>): Promise<void> {
    await this.#during(async () => {
      this.#state = 'ended';
      try {
        await work();
      } finally {
        await this.#close();
      }
    });
  }

  async #during(work: () => Promise<void>): Promise<void> {
    if (this.#state === 'taken over') throw takenOver();
    if (this.#state === 'ended') throw new Error('the lease has ended');
    const busy = work();
    this.#busy = busy;
    try {
      await busy;
    } catch (error) {
      throw hasCode(error, 'ENOENT') ? unknown() : asStorageError(error);
    }
  }

  /** Whether another process took the lease. */
  async #check(): Promise<void> {
    const held = await this.#log.isHeld();
    if (held === undefined) throw unknown();
    if (!held) throw takenOver();
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#log.close();
    await this.#data.close();
  }

  #remove(names: readonly string[]): Promise<void> {
    return removeUpload(this.#context.files, this.#context.folder, names);
  }
}

function takenOver(): StorageError {
  return new StorageError('UPLOAD_TAKEN_OVER', 'another request goes on with this upload');
}

function unknown(): StorageError {
  return new StorageError('UPLOAD_UNKNOWN', 'there is no such upload');
}
