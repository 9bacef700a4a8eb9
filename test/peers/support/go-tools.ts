import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, machine } from './cache.ts';
import { run } from './process.ts';

/**
 * A program that `go install PACKAGE@VERSION` builds, built at the first call (half a minute to some minutes).
 * @returns its path @throws where it cannot be built, with what Go said
 */
export async function goTool(path: string, version: string): Promise<string> {
  // A package's last name, unless that is the version of a module: `…/registry/v3` builds `registry`.
  const name = path.split('/').findLast((part) => !/^v\d+$/.test(part)) ?? path;
  const folder = await cached(`${name}-${version}`, async (folder) => {
    // Without `-buildvcs=false` Go asks git about the folder that the tests run in.
    const env = { ...machine(), GOBIN: folder, GOFLAGS: '-buildvcs=false' };
    await run('go', ['install', `${path}@${version}`], { env });
  });
  const [program = ''] = await readdir(folder);
  return join(folder, program);
}
