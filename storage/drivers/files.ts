import { dirname } from 'node:path';
import { StorageError } from '../errors.ts';
import { pieceSize, takePiece } from '../pieces.ts';
import type { FileHandle, FileSystem, Stats } from './file-system.ts';

/** Whether a failure has one of these system codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}

/** Says NO_SPACE where the system says so in its words; any other failure as it is. */
export function asStorageError(error: unknown): unknown {
  if (!hasCode(error, 'ENOSPC', 'EDQUOT')) return error;
  return new StorageError('NO_SPACE', 'no space left on device', { cause: error });
}

/** Undefined where the work fails because there is no such file. */
export async function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Writes all the chunks at a position, however short the system's writes are. */
export async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[], position: number): Promise<void> {
  let rest = chunks.filter((chunk) => chunk.length > 0);
  let at = position;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at);
    if (bytesWritten === 0) throw new Error('the system wrote nothing, and said no reason');
    at += bytesWritten;
    rest = without(rest, bytesWritten);
  }
}

/** The chunks without their first bytes. */
function without(chunks: Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  return chunks.flatMap((chunk) => {
    const skipped = Math.min(skip, chunk.length);
    skip -= skipped;
    return skipped === chunk.length ? [] : [chunk.subarray(skipped)];
  });
}

/** A span of a file, in pieces; one piece is read ahead while its predecessor is in use. It opens when first asked. */
export async function* readFile(
  files: FileSystem,
  path: string,
  span: { start: number; end: number },
): AsyncGenerator<Uint8Array, void, void> {
  const handle = await files.open(path, 'r');
  let ahead: Promise<Uint8Array> | undefined;
  const ask = (at: number): Promise<Uint8Array> => {
    const piece = readPiece(handle, at, Math.min(pieceSize, span.end + 1 - at));
    piece.catch(() => undefined);
    return piece;
  };
  try {
    let at = span.start;
    ahead = at <= span.end ? ask(at) : undefined;
    while (ahead !== undefined) {
      const piece: Uint8Array = await ahead;
      at += piece.length;
      ahead = at <= span.end ? ask(at) : undefined;
      yield piece;
    }
  } finally {
    await ahead?.catch(() => undefined);
    await handle.close();
  }
}

async function readPiece(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const piece = takePiece(length);
  const { bytesRead } = await handle.read(piece, 0, length, position);
  if (bytesRead === 0) throw new Error('the file is shorter than it was');
  return piece.subarray(0, bytesRead);
}

/** A whole file; undefined if it is absent or holds more than `limit` bytes. */
export async function readSmall(files: FileSystem, path: string, limit: number): Promise<Uint8Array | undefined> {
  return (await readWhole(files, path, limit))?.bytes;
}

/** The same, and what was known of the file before it was read. */
export async function readWhole(
  files: FileSystem,
  path: string,
  limit: number,
): Promise<{ bytes: Uint8Array; stats: Stats } | undefined> {
  const handle = await unlessAbsent(files.open(path, 'r'));
  if (handle === undefined) return undefined;
  try {
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size > limit) return undefined;
    // Memory of its own: it may be kept for long.
    const bytes = Buffer.allocUnsafeSlow(stats.size);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return { bytes: bytes.subarray(0, length), stats };
  } finally {
    await handle.close();
  }
}

/** Removes a file, or a directory and all below it. Absent is as good as removed. */
export async function remove(files: FileSystem, path: string): Promise<void> {
  const entries = await unlessAbsent(files.readdir(path, { withFileTypes: true }));
  if (entries === undefined) {
    await unlessAbsent(files.unlink(path));
    return;
  }
  for (const entry of entries) {
    const child = `${path}/${entry.name}`;
    if (entry.isDirectory()) await remove(files, child);
    else await unlessAbsent(files.unlink(child));
  }
  await unlessAbsent(files.rmdir(path));
}

/** The files below a folder of `root`, by their paths in it, in byte order, from the first after `after` on. */
export async function* walkFiles(
  files: FileSystem,
  root: string,
  folder: string,
  after: string,
): AsyncGenerator<{ key: string; size: number }, void, void> {
  const entries = (await unlessAbsent(files.readdir(`${root}/${folder}`, { withFileTypes: true }))) ?? [];
  // `a/b` sorts after `a-b`: a folder's place is that of its name and `/`.
  const orders = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort(byCodeUnits);
  for (const order of orders) {
    const key = `${folder}/${order}`;
    if (order.endsWith('/')) {
      if (key > after || after.startsWith(key)) yield* walkFiles(files, root, key.slice(0, -1), after);
    } else if (key > after) {
      const stats = await unlessAbsent(files.stat(`${root}/${key}`));
      if (stats?.isFile() === true) yield { key, size: stats.size };
    }
  }
}

function byCodeUnits(one: string, other: string): number {
  return one < other ? -1 : 1;
}

/** The directories from a path's own up to, and without, `top`. */
export function* directoriesUp(path: string, top: string): Generator<string, void, void> {
  for (let directory = dirname(path); directory !== top && directory !== dirname(directory);) {
    yield directory;
    directory = dirname(directory);
  }
}
