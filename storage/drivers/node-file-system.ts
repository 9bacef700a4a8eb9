import * as fs from 'node:fs';
import * as promises from 'node:fs/promises';
import { promisify } from 'node:util';
import type { FileHandle, FileSystem } from './file-system.ts';

const { O_RDWR, O_APPEND } = fs.constants;

const [open, read, writev] = [promisify(fs.open), promisify(fs.read), promisify(fs.writev)];
const [ftruncate, fdatasync, fsync] = [promisify(fs.ftruncate), promisify(fs.fdatasync), promisify(fs.fsync)];

/** Bytes that are read or written on the spot. */
const short = 64 * 1024;

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

/** A change that took longer, in ms, has waited for the disk. */
const longestChange = 50;

/** For how long changes go to threads after one that has waited, in ms. */
const distrust = 10_000;

/** A monotonic time in ms. */
const disk = { isSlowUntil: 0 };

/** Changes something on the spot, or in a thread where that has lately had to wait for the disk. */
async function change<T>(onTheSpot: () => T, inThread: () => Promise<T>): Promise<T> {
  if (performance.now() < disk.isSlowUntil) return inThread();
  return atOnce(() => {
    const began = performance.now();
    try {
      return onTheSpot();
    } finally {
      const ended = performance.now();
      if (ended - began > longestChange) disk.isSlowUntil = ended + distrust;
    }
  });
}

/**
 * The file system of this machine. Names, sizes, short reads and short writes are asked for on the spot, where the system
 * nearly always answers from memory: by way of a thread each takes several times the CPU. What is long, and each sync,
 * waits for the disk in a thread.
 */
export const nodeFileSystem: FileSystem = {
  ...promises,
  open: async (path, flags, mode) =>
    new OpenFile(
      flags === 'r'
        ? await atOnce(() => fs.openSync(path, flags))
        : await change(
            () => fs.openSync(path, flags, mode),
            () => open(path, flags, mode),
          ),
    ),
  openToAdd: async (path) => new OpenFile(await atOnce(() => fs.openSync(path, O_RDWR | O_APPEND))),
  mkdir: (path, options) =>
    change(
      () => fs.mkdirSync(path, options),
      () => promises.mkdir(path, options),
    ),
  rename: (from, to) =>
    change(
      () => fs.renameSync(from, to),
      () => promises.rename(from, to),
    ),
  link: (existing, path) =>
    change(
      () => fs.linkSync(existing, path),
      () => promises.link(existing, path),
    ),
  unlink: (path) =>
    change(
      () => fs.unlinkSync(path),
      () => promises.unlink(path),
    ),
  rmdir: (path) =>
    change(
      () => fs.rmdirSync(path),
      () => promises.rmdir(path),
    ),
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
    if (length > short) return read(this.#fd, buffer, offset, length, position);
    return { bytesRead: await atOnce(() => fs.readSync(this.#fd, buffer, offset, length, position)) };
  }

  async writev(buffers: Uint8Array[], position?: number): Promise<{ bytesWritten: number }> {
    let length = 0;
    for (const buffer of buffers) length += buffer.length;
    if (length > short) return writev(this.#fd, buffers, position);
    return change(
      () => ({ bytesWritten: fs.writevSync(this.#fd, buffers, position) }),
      () => writev(this.#fd, buffers, position),
    );
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
