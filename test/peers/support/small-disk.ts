import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './process.ts';

/** A disk that can be full. */
export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Takes all room that there is, and will be, until it is freed. */
  fill(): { free(): Promise<void> };
}

/** Mounts a disk in memory of so many MiB, which takes root. Disposing unmounts it. */
export async function mountDisk(size: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'shiplog-disk-'));
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size}m`, 'shiplog-test', path]);
  const filler = join(path, 'filler');
  return {
    path,
    fill() {
      const end = new AbortController();
      const filling = (async () => {
        await using file = await open(filler, 'w');
        for (const bytes = Buffer.alloc(65_536, 1); !end.signal.aborted;) {
          const { bytesWritten } = await file.write(bytes).catch(() => ({ bytesWritten: 0 }));
          if (bytesWritten < bytes.length) await sleep(2);
        }
      })();
      return {
        async free() {
          end.abort();
          await filling;
          await rm(filler);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await run('umount', ['--lazy', path]);
      await rm(path, { recursive: true });
    },
  };
}
