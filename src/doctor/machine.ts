import { randomUUID } from 'node:crypto';
import { access, constants, open, readFile, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeUser } from '../auth/make-user.ts';
import { parseHtpasswd } from '../auth/htpasswd.ts';
import { isLoopback } from '../auth/loopback.ts';
import { Size } from '../cli/table.ts';
import type { Config } from '../config.ts';
import { stateFolder, usersSeenFile } from '../data-folder.ts';
import { hasCode } from '../system-error.ts';
import { type Check, failed, ok, type Finding } from './finding.ts';

/** What this machine gives the server: folders, users, room and time. */
export function machineChecks(config: Config): Check[] {
  const { data, storage } = config;
  return [
    { name: 'data folder', look: () => lookAtFolder(data) },
    { name: 'users', look: () => lookAtUsers(config) },
    { name: 'free space', look: () => lookAtSpace(config) },
    { name: 'clock', look: () => lookAtClock([data, join(data, 'spool'), stateFolder(data), storage.disk.root]) },
  ];
}

/** Whether a file can be made there, durably; of a folder that is not there yet, whether it can be made. */
async function lookAtFolder(folder: string): Promise<Finding> {
  const there = await nearest(folder);
  const mend = `give it to the user of the server: chown -R ${process.getuid?.()}:${process.getgid?.()} ${there}`;
  if (there !== folder) {
    const mayMake = await access(there, constants.W_OK | constants.X_OK).then(
      () => true,
      () => false,
    );
    return mayMake
      ? ok(`${folder} is not there yet; it is made at the first start`)
      : failed(`${folder} is not there, and may not be made in ${there}`, mend);
  }
  const file = join(folder, `.doctor-${randomUUID()}`);
  try {
    await using handle = await open(file, 'wx', 0o600);
    await handle.writeFile('shiplog doctor');
    await handle.sync();
    return ok(`${folder} can be written`);
  } catch (error) {
    if (hasCode(error, 'ENOSPC')) return failed(`there is no space left in ${folder}`, 'make room on that disk');
    return failed(`${folder} cannot be written: ${messageOf(error)}`, mend);
  } finally {
    await rm(file, { force: true });
  }
}

async function lookAtUsers({ auth, data, http }: Config): Promise<Finding> {
  const file = auth.htpasswd;
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) {
      const mend = `let the user of the server read it: chown ${process.getuid?.()} ${file}; chmod 600 ${file}`;
      return failed(`${file} cannot be read: ${messageOf(error)}`, mend);
    }
    const mend = `make one: ${makeUser}`;
    const seen = await stat(usersSeenFile(data)).then(
      () => true,
      () => false,
    );
    if (seen) return failed(`there were users, and ${file} is gone: nobody can log in`, mend);
    if (!isLoopback(http.listen.host)) {
      return failed(`there are no users, and http.listen is ${http.listen.host}: the server does not start so`, mend);
    }
    return ok(`no users yet: everyone on this machine may do everything; make one with ${makeUser}`);
  }
  const { users, bad } = parseHtpasswd(content);
  if (users.size === 0) return failed(`${file} has no line with a bcrypt hash`, `make a user: ${makeUser}`);
  if (bad.length === 0) return ok(`${file} has ${users.size} user${users.size === 1 ? '' : 's'}`);
  const mend = 'set these passwords again: shiplog htpasswd NAME';
  return failed(`${file}: lines that are not taken, for they have no bcrypt hash: ${bad.join(', ')}`, mend);
}

async function lookAtSpace({ data, storage, ingest }: Config): Promise<Finding> {
  const reserve = storage.disk.free_space_reserve;
  const folders = storage.driver === 'disk' ? [data, storage.disk.root] : [data];
  const found = await Promise.all(
    folders.map(async (folder) => {
      const there = await nearest(folder);
      const { bavail, bsize } = await statfs(there);
      return { there, free: bavail * bsize };
    }),
  );
  const least = found.toSorted((a, b) => a.free - b.free)[0] ?? { there: data, free: 0 };
  const text = `${new Size(least.free).toString()} free in ${least.there}`;
  if (least.free < reserve) {
    const mend = 'make room on that disk, or lower storage.disk.free_space_reserve';
    return failed(`${text}: pushes are refused below ${new Size(reserve).toString()}`, mend);
  }
  const { max_size: spool } = ingest.spool;
  if (least.free - reserve >= spool) return ok(text);
  return ok(`${text}: less than the spool may take (${new Size(spool).toString()}) while the log store is away`);
}

/** Before this, in ms, no clock is right. */
const written = Date.UTC(2026, 0, 1);
/** How far, in ms, a file may come from the future: file systems have clocks of their own. */
const tolerance = 60_000;
/** systemd-timesyncd leaves a file there once the clock was set. */
const timesync = '/run/systemd/timesync';

async function lookAtClock(folders: readonly string[]): Promise<Finding> {
  const now = Date.now();
  const mend = 'let the clock be set by NTP: timedatectl set-ntp true';
  const text = new Date(now).toISOString();
  if (now < written) return failed(`it says ${text}`, mend);
  for (const folder of folders) {
    const changed = await stat(folder).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    if (changed > now + tolerance) {
      return failed(`it says ${text}, but ${folder} was changed at ${new Date(changed).toISOString()}`, mend);
    }
  }
  const [hasTimesync, synchronized] = await Promise.all(
    [timesync, `${timesync}/synchronized`].map((path) =>
      stat(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return hasTimesync === true && synchronized !== true
    ? failed(`it says ${text}, and was not set since the start`, mend)
    : ok(text);
}

/** A folder, or that above it which is there. */
async function nearest(folder: string): Promise<string> {
  const isThere = await stat(folder).then(
    () => true,
    (error: unknown) => !hasCode(error, 'ENOENT'),
  );
  return isThere || folder === dirname(folder) ? folder : nearest(dirname(folder));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
