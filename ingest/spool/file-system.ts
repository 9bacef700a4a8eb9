import * as fs from 'node:fs/promises';

/** An open file, or a directory opened to be synced. Lengths and positions in bytes. */
export interface FileHandle {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  /** It may write less than it was given. */
  writev(buffers: Uint8Array[], position: number): Promise<{ bytesWritten: number }>;
  truncate(length: number): Promise<void>;
  datasync(): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The mode of folders with what senders sent: whoever may read the images' folder, beside them, may not read these. */
export const ownerOnly = 0o700;

/** The little of a file system that the spool needs; its errors carry Node's codes. */
export interface FileSystem {
  open(path: string, flags: string): Promise<FileHandle>;
  mkdir(path: string, options: { recursive: true; mode?: number }): Promise<string | undefined>;
  readdir(path: string): Promise<string[]>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  stat(path: string): Promise<{ readonly size: number }>;
  readFile(path: string): Promise<Uint8Array>;
}

export const nodeFileSystem: FileSystem = fs;

/** Makes the names in a directory durable. */
export async function syncDirectory(fileSystem: FileSystem, path: string): Promise<void> {
  const directory = await fileSystem.open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Writes all of some buffers, however often the system writes less than it was given. */
export async function writeAll(file: FileHandle, buffers: readonly Uint8Array[], position: number): Promise<void> {
  let left = [...buffers];
  let at = position;
  while (left.length > 0) {
    let { bytesWritten } = await file.writev(left, at);
    at += bytesWritten;
    let whole = 0;
    for (const buffer of left) {
      if (bytesWritten < buffer.length) break;
      bytesWritten -= buffer.length;
      whole += 1;
    }
    left = left.slice(whole);
    if (bytesWritten > 0 && left[0] !== undefined) left[0] = left[0].subarray(bytesWritten);
  }
}

/** Writes a small file as a whole, durably, in place of the one that was there. */
export async function replaceFile(
  fileSystem: FileSystem,
  directory: string,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const temporary = `${directory}/${name}.tmp`;
  const file = await fileSystem.open(temporary, 'w');
  try {
    await writeAll(file, [bytes], 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  await fileSystem.rename(temporary, `${directory}/${name}`);
  await syncDirectory(fileSystem, directory);
}

/** Whether an error is the system's, with one of these codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}
