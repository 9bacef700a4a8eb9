import { KeyedLock } from '../lock.ts';
import type { FileHandle, Stats } from './file-system.ts';
import { writeAll } from './files.ts';

/**
 * Bytes after which a sync begins while more are written. So the last one is short, and others who sync on this disk never
 * wait for more than that, whatever the file grows to.
 */
const syncEvery = 8 * 1024 * 1024;

/** Each early sync takes a thread of those that all of the process's files share: one at a time, over all files. */
const early = new KeyedLock();

/** The bytes of an upload in an open file, which only grows. It is synced as it does. */
export class UploadData {
  readonly #handle: FileHandle;
  #size: number;
  /** Bytes that a power cut cannot take. */
  #durable: number;
  /** Bytes that a sync was begun for. */
  #begun: number;
  #syncing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(handle: FileHandle, { size, durable }: { size: number; durable: number }) {
    this.#handle = handle;
    this.#size = size;
    this.#durable = durable;
    this.#begun = durable;
  }

  /** Bytes that are there. After a sync that failed, the system may take for saved what is not: it has to be sent again. */
  get size(): number {
    return this.#failure === undefined ? this.#size : this.#durable;
  }

  get durable(): number {
    return this.#durable;
  }

  /** Adds bytes. @throws also why an earlier sync failed */
  async append(chunks: readonly Uint8Array[]): Promise<void> {
    this.#check();
    try {
      await writeAll(this.#handle, chunks, this.#size);
    } catch (error) {
      // Gives back what a full disk took; else the next lease cuts it off.
      await this.#handle.truncate(this.#size).catch(() => undefined);
      throw error;
    }
    for (const chunk of chunks) this.#size += chunk.length;
    if (this.#size - this.#begun >= syncEvery) {
      await this.#syncing;
      this.#begun = this.#size;
      this.#syncing = early.alone('', () => this.#sync());
    }
    this.#check();
  }

  /** Makes all that was added durable. */
  async sync(): Promise<void> {
    await this.#syncing;
    if (this.#failure === undefined && this.#durable < this.#size) await this.#sync();
    this.#check();
  }

  stat(): Promise<Stats> {
    return this.#handle.stat();
  }

  async close(): Promise<void> {
    await this.#syncing;
    await this.#handle.close();
  }

  async #sync(): Promise<void> {
    const size = this.#size;
    this.#begun = size;
    try {
      await this.#handle.datasync();
      this.#durable = size;
    } catch (error) {
      this.#failure = { error };
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
