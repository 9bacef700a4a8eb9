import { type FileHandle, hasCode, syncDirectory, writeAll } from './file-system.ts';
import type { JournalContext } from './journal.ts';
import { openToRead } from './read-file.ts';

/** Bytes of all that is kept there. */
export async function sizeOfQuarantine({
  root,
  fileSystem,
}: Pick<JournalContext, 'root' | 'fileSystem'>): Promise<number> {
  const names = await fileSystem.readdir(`${root}/quarantine`).catch(absent);
  const sizes = await Promise.all(
    (names ?? []).map((name) => fileSystem.stat(`${root}/quarantine/${name}`).catch(absent)),
  );
  return sizes.reduce((sum, file) => sum + (file?.size ?? 0), 0);
}

function absent(error: unknown): undefined {
  if (!hasCode(error, 'ENOENT')) throw error;
}

/**
 * Keeps damaged bytes of a file as `quarantine/NAME`, durably; answers how many count. Zeros are no loss: they are what a
 * file system leaves of a length that was saved without its bytes.
 */
export async function keepDamage(
  { root, fileSystem, log }: JournalContext,
  path: string,
  name: string,
  start: number,
  length: number,
): Promise<number> {
  const folder = `${root}/quarantine`;
  await using source = await openToRead(fileSystem, path);
  let copy: FileHandle | undefined;
  try {
    for (let done = 0; done < length;) {
      const bytes = await source.read(start + done, Math.min(length - done, 1024 * 1024));
      if (copy === undefined && bytes.some((byte) => byte !== 0)) {
        await fileSystem.mkdir(folder, { recursive: true });
        await syncDirectory(fileSystem, root);
        copy = await fileSystem.open(`${folder}/${name}`, 'w');
        // What was zeros so far is written again, as part of the whole.
        done = 0;
        continue;
      }
      if (copy !== undefined) await writeAll(copy, [bytes], done);
      done += bytes.length;
    }
    if (copy === undefined) return 0;
    await copy.datasync();
  } finally {
    await copy?.close();
  }
  await syncDirectory(fileSystem, folder);
  log.error(
    { file: `${folder}/${name}`, bytes: length },
    'bytes of the spool are damaged; they are kept, and stepped over',
  );
  return length;
}
