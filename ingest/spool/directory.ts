import { randomBytes } from 'node:crypto';
import { syncDirectory } from './file-system.ts';
import { type JournalContext, lockName } from './journal.ts';
import type { Lock, TakeLock } from './lock.ts';

/** Makes the directory of this life, and locks it. `now` in µs since 1970. */
export async function makeDirectory(
  { root, fileSystem }: JournalContext,
  takeLock: TakeLock,
  now: number,
): Promise<{ readonly id: string; readonly lock: Lock }> {
  const stamp = new Date(now / 1000).toISOString().replaceAll(/[-:]|\.\d+Z/g, '');
  for (let attempt = 1; ; attempt += 1) {
    const id = `${stamp}-${randomBytes(6).toString('hex')}`;
    let lock: Lock | undefined;
    try {
      await fileSystem.mkdir(`${root}/.new-${id}`, { recursive: true });
      lock = takeLock(`${root}/.new-${id}/${lockName}`);
      if (lock !== undefined) {
        await fileSystem.rename(`${root}/.new-${id}`, `${root}/${id}`);
        await syncDirectory(fileSystem, root);
        return { id, lock };
      }
    } catch (error) {
      lock?.[Symbol.dispose]();
      if (attempt === 5) throw error;
    }
    if (attempt === 5) throw new Error(`each new directory in ${root} was locked by another at once`);
  }
}
