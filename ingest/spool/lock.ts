import { DatabaseSync } from 'node:sqlite';
import { hasCode } from './file-system.ts';

/** The right to a directory; the kernel ends it when the process dies. */
export type Lock = Disposable;

/** Takes the lock that a file stands for; undefined: another has it. */
export type TakeLock = (file: string) => Lock | undefined;

/** SQLite's lock on a database file, since Node has no other one. It holds between containers on one volume too. */
export const takeSqliteLock: TakeLock = (file) => {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (hasCode(error, 'ERR_SQLITE_ERROR') && error instanceof Error && /locked|busy/.test(error.message))
      return undefined;
    throw error;
  }
  return { [Symbol.dispose]: () => database.close() };
};
