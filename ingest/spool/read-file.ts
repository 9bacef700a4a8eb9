import { UnreadableError } from './errors.ts';
import type { FileSystem } from './file-system.ts';

/** A file that is read. Disposing closes it. */
export interface ReadFile extends AsyncDisposable {
  /**
   * Reads bytes; where the file ends before, what is missing reads as zeros, which no block has.
   * `memory`: where to, if that is enough.
   * @throws {UnreadableError}
   */
  read(position: number, length: number, memory?: Buffer): Promise<Buffer>;
}

/** Opens a file to read it. @throws the system's error where it cannot be opened. */
export async function openToRead(fileSystem: FileSystem, path: string): Promise<ReadFile> {
  const file = await fileSystem.open(path, 'r');
  return {
    async read(position, length, memory) {
      const isEnough = memory !== undefined && memory.length >= length;
      const buffer = isEnough ? memory.subarray(0, length) : Buffer.allocUnsafeSlow(length);
      for (let filled = 0; filled < length;) {
        const { bytesRead } = await file
          .read(buffer, filled, length - filled, position + filled)
          // The system's error does not say which file it is about.
          .catch((cause: unknown) => {
            throw new UnreadableError(path, { cause });
          });
        if (bytesRead === 0) return buffer.fill(0, filled);
        filled += bytesRead;
      }
      return buffer;
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/** Reads the first bytes of a file. @throws {UnreadableError} or the system's error. */
export async function readStart(fileSystem: FileSystem, path: string, length: number): Promise<Buffer> {
  await using file = await openToRead(fileSystem, path);
  return await file.read(0, length);
}
