import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, machine } from '../peers/support/cache.ts';
import { run } from '../peers/support/process.ts';

/** What the program of load/ says of a load; load/main.go tells of each field. */
export interface LoadResult {
  readonly operations: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly cpu: number;
  readonly p99ms: number;
  readonly blobs?: readonly string[];
  readonly manifests?: readonly string[];
}

/**
 * Has a load done. `options` are its flags, `input` is what it reads from stdin.
 * @throws where an answer was not what it should be
 */
export async function load(
  name: 'push' | 'mount' | 'requests',
  options: Readonly<Record<string, string | number>>,
  input = '',
): Promise<LoadResult> {
  const flags = Object.entries(options).map(([key, value]) => `-${key}=${value}`);
  return JSON.parse(await run(await goProgram(join(import.meta.dirname, 'load')), [name, ...flags], { input }));
}

/** A Go program of a folder, built whenever its sources have changed. @returns its path */
export async function goProgram(sources: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of (await readdir(sources)).toSorted()) hash.update(name).update(await readFile(join(sources, name)));
  const folder = await cached(`bench-${hash.digest('hex').slice(0, 16)}`, async (folder) => {
    await run('go', ['build', '-C', sources, '-buildvcs=false', '-o', join(folder, 'program'), '.'], {
      env: machine(),
    });
  });
  return join(folder, 'program');
}
