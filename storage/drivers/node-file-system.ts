import * as fs from 'node:fs';
import * as promises from 'node:fs/promises';
import { promisify } from 'node:util';
import type { FileHandle, FileSystem } from './file-system.ts';

const [open, read, writev] = [promisify(fs.open), promisify(fs.read), promisify(fs.writev)];
const [ftruncate, fdatasync, fsync] = [promisify(fs.ftruncate), promisify(fs.fdatasync), promisify(fs.fsync)];

/** Bytes that are read on the spot. */
const shortRead = 64 * 1024;

/** How long this process does nothing else, in ms, however much is asked on the spot. */
const longestTurn = 5;

/** When this turn of the event loop began to ask; undefined: it has not asked. */
const turn: { began: number | undefined } = { began: undefined };

/** Asks the system on the spot, once others had their turn where this one has lasted long. */
async function atOnce<T>(ask: () => T): Promise<T> {
  while (turn.began !== undefined && performance.now() - turn.began > longestTurn) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (turn.began === undefined) {
    turn.began = performance.now();
    setImmediate(() => {
      turn.began = undefined;
    });
  }
  return ask();
}

/**
 * The file system of this machine. What only looks (names, sizes, short reads) is asked on the spot, where the system
 * nearly always answers from memory: by way of a thread it takes ten times the CPU. What changes something, and what is
 * long, may wait for the disk, and goes to a thread.
 */
export const nodeFileSystem: FileSystem = {
  ...promises,
  open: async (path, flags, mode) =>
    new OpenFile(flags === 'r' ? await atOnce(() => fs.openSync(path, flags)) : await open(path, flags, mode)),
  readdir: (path, options) => atOnce(() => fs.readdirSync(path, options)),
  stat: (path) => atOnce(() => fs.statSync(path)),
  access: (path, mode) => atOnce(() => fs.accessSync(path, mode)),
  statfs: (path) => atOnce(() => fs.statfsSync(path)),
};

class OpenFile implements FileHandle {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
    if (length > shortRead) return read(this.#fd, buffer, offset, length, position);
    return { bytesRead: await atOnce(() => fs.readSync(this.#fd, buffer, offset, length, position)) };
  }

  writev(buffers: Uint8Array[], position: number): Promise<{ bytesWritten: number }> {
    return writev(this.#fd, buffers, position);
  }

  truncate(length: number): Promise<void> {
    return ftruncate(this.#fd, length);
  }

  async stat(): Promise<fs.Stats> {
    return fs.fstatSync(this.#fd);
  }

  datasync(): Promise<void> {
    return fdatasync(this.#fd);
  }

  sync(): Promise<void> {
    return fsync(this.#fd);
  }

  async close(): Promise<void> {
    fs.closeSync(this.#fd);
  }
}
