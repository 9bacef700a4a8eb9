import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { ImageError } from './errors.ts';
import { indexTar, pathOf, type TarEntries } from './tar-index.ts';

/** A file in an archive. `size` in bytes. */
export interface ArchivedFile {
  readonly size: number;
  /** Its bytes, or so many of them; it can be read as often as one likes. */
  read(length?: number): AsyncIterable<Uint8Array>;
}

/** The files of a tar archive, by name. */
export interface TarArchive extends AsyncDisposable {
  /** A link is followed, once. Undefined: there is none. @throws {ImageError} where it leads out of the archive */
  find(name: string): ArchivedFile | undefined;
}

/** Bytes that are read at once. */
const pieceSize = 256 * 1024;

/**
 * Opens a tar archive, perhaps one that gzip has compressed: the file of a name, or what a stream brings. What is no
 * plain file, which can be read here and there, is copied into one that has no name, and so ends with the process.
 * @throws {ImageError} where it is no tar archive, or broke off
 */
export async function openTar(source: string | AsyncIterable<Uint8Array>): Promise<TarArchive> {
  try {
    if (typeof source !== 'string') return await copyTar(source);
    await using stack = new AsyncDisposableStack();
    const file = stack.use(await open(source));
    const stats = await file.stat();
    if (!stats.isFile() || (await isGzip(readSpan(file, 0, Math.min(stats.size, 2))))) {
      return await copyTar(file.createReadStream({ autoClose: false }));
    }
    const entries = await indexTar(readSpan(file, 0, stats.size));
    stack.move();
    return archive(file, entries);
  } catch (cause) {
    // What the system says speaks for itself.
    if (cause instanceof ImageError || !(cause instanceof Error) || 'syscall' in cause) throw cause;
    throw new ImageError(`the archive cannot be read: ${cause.message}`, { cause });
  }
}

function archive(file: FileHandle, entries: TarEntries): TarArchive {
  return {
    find(name) {
      const entry = entries.get(name);
      const found = entry !== undefined && 'target' in entry ? entries.get(pathOf(entry.target)) : entry;
      if (found === undefined || 'target' in found) return undefined;
      const { start, size } = found;
      return { size, read: (length = size) => readSpan(file, start, Math.min(length, size)) };
    },
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

async function copyTar(source: AsyncIterable<Uint8Array>): Promise<TarArchive> {
  await using stack = new AsyncDisposableStack();
  const file = stack.use(await openNameless());
  const copy = (chunks: AsyncIterable<Uint8Array>): Promise<TarEntries> => indexTar(copied(chunks, file));
  const [start, whole] = await peek(source);
  const entries = await ((await isGzip([start])) ? pipeline(whole, createGunzip(), copy) : copy(whole));
  stack.move();
  return archive(file, entries);
}

/** A temporary file whose name is gone already. */
async function openNameless(): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-import-'));
  try {
    return await open(join(folder, 'archive.tar'), 'wx+', 0o600);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function* copied(chunks: AsyncIterable<Uint8Array>, file: FileHandle): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of chunks) {
    await file.writeFile(chunk);
    yield chunk;
  }
}

/** The first two bytes of a stream, and all of it. */
async function peek(source: AsyncIterable<Uint8Array>): Promise<[Uint8Array, AsyncGenerator<Uint8Array, void, void>]> {
  const chunks = source[Symbol.asyncIterator]();
  let start: Uint8Array = Buffer.alloc(0);
  while (start.length < 2) {
    const next = await chunks.next();
    if (next.done === true) break;
    start = Buffer.concat([start, next.value]);
  }
  async function* whole(): AsyncGenerator<Uint8Array, void, void> {
    yield start;
    yield* { [Symbol.asyncIterator]: () => chunks };
  }
  return [start, whole()];
}

/** RFC 1952, section 2.3.1. */
async function isGzip(content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<boolean> {
  const [first, second] = Buffer.concat(await Array.fromAsync(content));
  return first === 0x1f && second === 0x8b;
}

async function* readSpan(file: FileHandle, start: number, size: number): AsyncGenerator<Uint8Array, void, void> {
  for (let at = start; at < start + size;) {
    const piece = Buffer.allocUnsafe(Math.min(pieceSize, start + size - at));
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) throw new ImageError('the archive became shorter while it was read');
    yield piece.subarray(0, bytesRead);
    at += bytesRead;
  }
}
