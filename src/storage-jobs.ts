import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Driver } from '../storage/driver.ts';
import type { Store } from '../storage/store.ts';

const [minute, hour] = [60_000, 3_600_000];

/** Work that is done now, and again and again, `every` so many ms. */
interface Job {
  readonly name: string;
  readonly every: number;
  readonly work: () => Promise<void>;
}

/** What the jobs are done to. `uploadExpiry` (ms): how long an upload may be idle. */
export interface StorageJobsOptions {
  readonly store: Store;
  readonly driver: Driver;
  readonly uploadExpiry: number;
  readonly log: Logger;
}

/**
 * Keeps the store clean from now on: ends upload sessions that nobody goes on with, and removes what a crash has left.
 * Several processes may do so on one store. Disposing lets what runs come to its end.
 */
export function startStorageJobs({ store, driver, uploadExpiry, log }: StorageJobsOptions): AsyncDisposable {
  const jobs: readonly Job[] = [
    { name: 'ending idle uploads', every: 5 * minute, work: () => store.uploads.expire(uploadExpiry) },
    { name: 'removing what a crash has left', every: hour, work: () => driver.sweep(hour) },
  ];
  const ending = new AbortController();
  const running = jobs.map((job) => repeat(job, ending.signal, log));
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await Promise.all(running);
    },
  };
}

async function repeat({ name, every, work }: Job, signal: AbortSignal, log: Logger): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
    } catch (error) {
      log.warn({ err: error }, `${name} failed; it is tried again later`);
    }
    await sleep(every, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
