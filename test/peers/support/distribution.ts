import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../support/server.ts';
import type { Ground } from './ground.ts';
import { run, startDaemon } from './process.ts';

/** A running registry of another make. */
export interface Peer extends AsyncDisposable {
  readonly url: string;
  /** As it stands in image names. */
  readonly host: string;
}

/** A release of distribution, the registry whose images are `registry:2` and `registry:3`. */
export interface Distribution {
  /** The program's path. */
  program(this: void): Promise<string>;
  /**
   * Starts it, with deletes. Its cache of descriptors, which the images have on, is off unless it is wanted, since another
   * server writes to the same ground.
   */
  start(ground: Ground, options?: { cache: boolean }): Promise<Peer>;
  /** Runs its garbage collector. @returns what it said @throws where it fails */
  collect(ground: Ground, ...options: '--delete-untagged'[]): Promise<string>;
}

/** A release, as the program that `find` finds. */
export function distribution(find: () => Promise<string>): Distribution {
  return {
    program: find,
    async start(ground, { cache } = { cache: false }) {
      const host = `127.0.0.1:${await freePort()}`;
      const url = `http://${host}`;
      const ready = async (): Promise<boolean> => (await fetch(`${url}/v2/`)).ok;
      const config = await configure(ground, host);
      try {
        const daemon = await startDaemon(await find(), ['serve', config.path], ready, {
          env: cache ? quiet : { ...quiet, ...withoutCache },
        });
        return {
          url,
          host,
          async [Symbol.asyncDispose]() {
            await daemon[Symbol.asyncDispose]();
            await config[Symbol.asyncDispose]();
          },
        };
      } catch (error) {
        await config[Symbol.asyncDispose]();
        throw error;
      }
    },
    async collect(ground, ...options) {
      await using config = await configure(ground, '127.0.0.1:0');
      return await run(await find(), ['garbage-collect', ...options, config.path], { env: quiet });
    },
  };
}

/** Its environment: release 3 sends traces unless it is told not to. */
export const quiet = { OTEL_TRACES_EXPORTER: 'none' };

const withoutCache = { REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR: 'none' };

async function configure({ storage }: Ground, addr: string): Promise<{ path: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-distribution-'));
  const path = join(folder, 'config.yml');
  await writeFile(path, JSON.stringify(configuration(storage, addr)));
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** Its configuration, with a cache of descriptors. */
export function configuration(storage: Ground['storage'], addr: string): object {
  return {
    version: 0.1,
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: {
      ...storage,
      cache: { blobdescriptor: 'inmemory' },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { addr },
  };
}
