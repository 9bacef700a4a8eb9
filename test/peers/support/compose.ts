import { join } from 'node:path';
import { cached, machine } from './cache.ts';
import { run } from './process.ts';

/** Builds Docker Compose, where it is not there yet (some minutes). @returns its path */
export async function dockerCompose(): Promise<string> {
  const version = 'v2.40.3';
  // Its go.mod excludes modules, so `go install` does not take it as it is.
  const folder = await cached(`compose-${version}`, async (folder) => {
    const go = (...args: string[]): Promise<string> => run('go', ['-C', folder, ...args], { env: machine() });
    await go('mod', 'init', 'compose');
    await go('get', `github.com/docker/compose/v2/cmd@${version}`);
    await go('build', '-buildvcs=false', '-o', 'docker-compose', 'github.com/docker/compose/v2/cmd');
  });
  return join(folder, 'docker-compose');
}
