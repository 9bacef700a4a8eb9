import { genSalt, hash, truncates } from 'bcryptjs';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { editHtpasswd, parseHtpasswd } from '../auth/htpasswd.ts';
import { hasCode } from '../system-error.ts';
import { loadConfig } from '../config.ts';
import { type Command, CommandError, UsageError } from './command.ts';
import { parseOptions } from './options.ts';
import { readPassword } from './password.ts';

const usage = `Usage: shiplog htpasswd NAME [--config FILE]
       shiplog htpasswd --delete NAME [--config FILE]

Makes a user, or changes the password of one. The password is asked for, or read from stdin if that is no terminal.
A server that runs takes the change at once.
`;

const cost = 10;

/** `shiplog htpasswd` */
export const htpasswd: Command = async ({ args, env, stdin, stdout, stderr }) => {
  const { values, positionals } = parseOptions(usage, {
    args: [...args],
    allowPositionals: true,
    options: { config: { type: 'string' }, delete: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const [user, ...more] = positionals;
  if (user === undefined || more.length > 0) throw new UsageError(`give one name\n\n${usage}`);
  // RFC 7617 section 2: a user-id has no colon and no control characters. A leading # would be a comment.
  if (!/^[^\p{Cc}:#\s][^\p{Cc}:]{0,254}$/u.test(user) || user.trim() !== user) {
    throw new UsageError('a name has 1 to 255 characters, no colon, and neither starts with # nor a space');
  }
  const file = loadConfig({ file: values.config, env }).auth.htpasswd;
  if (values.delete === true) {
    const left = await change(file, (text) => {
      if (!parseHtpasswd(text).users.has(user)) throw new CommandError(`${file} has no user ${user}`);
      return editHtpasswd(text, user, undefined);
    });
    stderr.write(`${user} is removed from ${file}\n`);
    if (left === 0) stderr.write('No users are left: nobody can log in until there is one again.\n');
    return 0;
  }
  const password = await readPassword(`Password for ${user}: `, { stdin, stderr });
  if (password === '') throw new CommandError('a password is not empty');
  if (/\p{Cc}/u.test(password)) throw new CommandError('a password has no control characters');
  if (truncates(password)) throw new CommandError('a password has at most 72 bytes: bcrypt ignores the rest');
  // Apache and registry:2 write and read the version 2y, which is the same as 2b.
  const line = (await hash(password, await genSalt(cost))).replace(/^\$2[ab]\$/, '$2y$');
  await change(file, (text) => editHtpasswd(text, user, line));
  stderr.write(`${user} can log in; the file is ${file}\n`);
  return 0;
};

/** Replaces a file as a whole, or removes it when no user is left in it; answers how many there are. */
async function change(file: string, edit: (text: string) => string): Promise<number> {
  const missing = (error: unknown): undefined => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  };
  const old = await readFile(file, 'utf8').catch(missing);
  const text = edit(old ?? '');
  const users = parseHtpasswd(text).users.size;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  if (users === 0) {
    await unlink(file);
  } else {
    const present = await stat(file).catch(missing);
    const owner = present ?? (await stat(dirname(file)));
    const temporary = `${file}.${randomBytes(6).toString('hex')}`;
    try {
      await using handle = await open(temporary, 'wx', 0o600);
      if (present !== undefined) await handle.chmod(present.mode & 0o777);
      // The server may run as another user than root, who types this.
      if (process.getuid?.() === 0) await handle.chown(owner.uid, owner.gid);
      await handle.writeFile(text);
      await handle.sync();
      await rename(temporary, file);
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
  }
  await using directory = await open(dirname(file), 'r');
  await directory.sync();
  return users;
}
