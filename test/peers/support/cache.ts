import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where what was fetched or built is kept from run to run: `~/.cache/shiplog-peers`, or `$SHIPLOG_PEERS_CACHE`. */
export const cache = process.env['SHIPLOG_PEERS_CACHE'] ?? join(homedir(), '.cache/shiplog-peers');

/** This machine's environment, for the tools that fetch and build. */
export function machine(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])));
}

/** A folder of the cache, filled at the first call: it is there whole or not at all. @returns its path */
export async function cached(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cache, name);
  if (await exists(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const fresh = await mkdtemp(join(cache, 'fetch-'));
  try {
    await fill(fresh);
    await rename(fresh, folder).catch(async (error: unknown) => {
      // Another process may have been faster.
      if (!(await exists(folder))) throw error;
    });
    return folder;
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** Whether something is there. */
export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
