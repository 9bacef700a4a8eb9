import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { root } from './pages.ts';

/** The files of the package as a clone of it has them, in a folder of their own; disposing removes it. */
export interface Clone extends AsyncDisposable {
  readonly folder: string;
  /**
   * Runs commands as one would type them there. @returns what they printed
   * @throws {Error} where one of them fails, with all that they printed
   */
  readonly shell: (script: string, env?: NodeJS.ProcessEnv) => Promise<string>;
  /** Runs commands of which the last one starts the server, and waits until it has started; disposing ends them. */
  readonly serve: (script: string, env?: NodeJS.ProcessEnv) => Promise<AsyncDisposable>;
}

/** Makes one. `install`: the packages are those of this clone; else there are none. */
export async function freshClone({ install }: { readonly install: boolean }): Promise<Clone> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-clone-'));
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'];
  const files = execFileSync('git', list, { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);
  for (const file of files) await cp(join(root, file), join(folder, file));
  if (install) await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  // What runs the tests has put the programs of this clone into it.
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((part) => !part.includes('node_modules'));
  const start = (script: string, env: NodeJS.ProcessEnv) =>
    spawn('/bin/sh', ['-ec', script], {
      cwd: folder,
      env: { HOME: folder, ...env, PATH: [env['PATH'], ...path].filter(Boolean).join(delimiter) },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
  return {
    folder,
    async shell(script, env = {}) {
      const child = start(script, env);
      const printed = Promise.all([text(child.stdout), text(child.stderr)]);
      const [code] = await once(child, 'close');
      const [out, err] = await printed;
      if (code !== 0) throw new Error(`ended with ${String(code)}:\n${script}\n${out}${err}`);
      return out;
    },
    async serve(script, env = {}) {
      const child = start(script, env);
      const closed = once(child, 'close');
      let output = '';
      await new Promise<void>((resolve, reject) => {
        for (const stream of [child.stdout, child.stderr]) {
          stream.on('data', (chunk) => {
            output += String(chunk);
            if (output.includes('"msg":"started"')) resolve();
          });
        }
        child.once('close', () => reject(new Error(`ended before it started:\n${script}\n${output}`)));
      });
      return {
        async [Symbol.asyncDispose]() {
          // The shell, npm and the server.
          if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
          await closed;
        },
      };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** Replaces what a page has for what there is here, all of it that it has. */
export function mapped(script: string, table: readonly (readonly [string, string])[]): string {
  return table.reduce((changed, [from, to]) => changed.replaceAll(from, to), script);
}
