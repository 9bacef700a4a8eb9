import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../support/server.ts';
import { startDaemon } from './process.ts';

/** A running registry:2. */
export interface Registry2 extends AsyncDisposable {
  readonly url: string;
  /** As it stands in image names. */
  readonly host: string;
}

/**
 * Starts Debian's docker-registry (distribution 2.8.2) on a root directory, with deletes. Its cache of descriptors is
 * off, since another server writes to the same tree.
 */
export async function startRegistry2(root: string): Promise<Registry2> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-registry2-'));
  const host = `127.0.0.1:${await freePort()}`;
  const url = `http://${host}`;
  const config = join(folder, 'config.yml');
  await writeFile(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: 'warn', accesslog: { disabled: true } },
      storage: {
        filesystem: { rootdirectory: root },
        delete: { enabled: true },
        maintenance: { uploadpurging: { enabled: false } },
      },
      http: { addr: host },
    }),
  );
  const remove = (): Promise<void> => rm(folder, { recursive: true });
  try {
    const ready = async (): Promise<boolean> => (await fetch(`${url}/v2/`)).ok;
    const daemon = await startDaemon('/usr/bin/docker-registry', ['serve', config], ready);
    return {
      url,
      host,
      async [Symbol.asyncDispose]() {
        await daemon[Symbol.asyncDispose]();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
