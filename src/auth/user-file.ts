import { type BigIntStats, existsSync, statSync } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { hasCode } from '../system-error.ts';
import { parseHtpasswd, type Users } from './htpasswd.ts';

/**
 * Who gets in.
 *
 * - `open`: there never were users; everyone on this machine may do everything.
 * - `users`: those who have a line.
 * - `closed`: there were users once, and the file is away: nobody.
 */
export type Access = { readonly mode: 'open' | 'closed' } | { readonly mode: 'users'; readonly users: Users };

/** An htpasswd file that is watched. */
export interface UserFile extends Disposable {
  readonly file: string;
  /** As it was when the file was looked at last. */
  readonly access: Access;
  /** What is wrong with the file; undefined: nothing. */
  readonly broken: string | undefined;
  /** Looks at the file now. */
  refresh(): Promise<void>;
}

/** How an htpasswd file is watched. */
export interface UserFileOptions {
  readonly file: string;
  /** The file whose presence says that users were seen once. */
  readonly seenFile: string;
  readonly log: Logger;
}

const interval = 1000;
const largest = 4 * 1024 * 1024;

/**
 * Watches an htpasswd file, each second and when asked to.
 *
 * | the file                               | access                                  |
 * | -------------------------------------- | --------------------------------------- |
 * | never seen                             | open                                    |
 * | there, with a good line                | its users                               |
 * | seen once (`seenFile`), now absent     | closed                                  |
 * | broken: no good line, or not readable  | as before; the log says so              |
 */
export async function openUserFile({ file, seenFile, log }: UserFileOptions): Promise<UserFile> {
  let seen = await exists(seenFile);
  let access: Access = { mode: seen ? 'closed' : 'open' };
  let version = '';
  let running: Promise<void> | undefined;

  async function look(): Promise<void> {
    const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
    const now = stats === undefined ? 'absent' : versionOf(stats);
    if (now === version) return;
    if (stats === undefined) {
      if (access.mode === 'users') log.error({ file }, 'the htpasswd file is gone: nobody can log in');
      access = { mode: seen ? 'closed' : 'open' };
    } else {
      if (stats.size > largest) throw new Error(`it has more than ${largest} bytes`);
      const { users, bad } = parseHtpasswd(await readFile(file, 'utf8'));
      if (users.size === 0) throw new Error('it has no line with a bcrypt hash');
      if (bad.length > 0)
        log.warn({ file, lines: bad.slice(0, 20) }, 'lines of the htpasswd file are not taken: only bcrypt');
      if (!seen) {
        await touch(seenFile);
        seen = true;
      }
      if (version !== '') log.info({ file, users: users.size }, 'the htpasswd file was read');
      access = { mode: 'users', users };
    }
    version = now;
  }

  /** Whether nothing is there, as at the last look: on the spot, for while there are no users each request asks. */
  function isStillAbsent(): boolean {
    return running === undefined && version === 'absent' && !existsSync(file);
  }

  let broken: string | undefined;
  /** One look at a time; whoever asks during one gets another that starts after it. */
  async function refresh(): Promise<void> {
    const before = running;
    const mine = (async () => {
      await before;
      try {
        await look();
        broken = undefined;
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (message !== broken)
          log.error({ file, reason: message }, 'the htpasswd file is broken; users stay as they were');
        broken = message;
      }
    })();
    running = mine;
    await mine;
    if (running === mine) running = undefined;
  }

  await refresh();
  const timer = setInterval(() => void (running ?? refresh()), interval).unref();
  return {
    file,
    get access() {
      return access;
    },
    get broken() {
      return broken;
    },
    refresh: async () => (isStillAbsent() ? undefined : refresh()),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function versionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    (error: unknown) => {
      if (hasCode(error, 'ENOENT')) return false;
      throw error;
    },
  );
}

/** Makes an empty file that survives a power cut. */
async function touch(file: string): Promise<void> {
  await using handle = await open(file, 'a', 0o600);
  await handle.sync();
  await using directory = await open(dirname(file), 'r');
  await directory.sync();
}
