import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Driver } from '../storage/driver.ts';
import { scrubKey } from '../storage/layout.ts';
import type { Readiness } from './http/health.ts';

/** What is watched. Times in ms, the reserve in bytes. */
export interface StorageWatchOptions {
  readonly driver: Pick<Driver, 'stat' | 'free'>;
  readonly reserve: number;
  readonly log: Logger;
  /** How often it is looked at, and how long a look may take. */
  readonly every?: number;
  readonly patience?: number;
}

/** Knows whether images can be had, and whether there is room for more. */
export interface StorageWatch extends AsyncDisposable {
  /** While the disk is full images can be pulled, so that is no reason to send requests elsewhere. */
  readiness(): Readiness;
}

const MiB = 1024 * 1024;

/** Looks at once, and from then on now and then; tells the log when something changes. */
export async function watchStorage(options: StorageWatchOptions): Promise<StorageWatch> {
  const { driver, reserve, log, every = 10_000, patience = 10_000 } = options;
  const ending = new AbortController();
  let now: Readiness = { ready: true, state: 'ok' };

  async function look(): Promise<void> {
    const before = now;
    const { reason, ...found } = await readinessOf(driver, reserve, patience);
    now = found;
    if (now.state === before.state) return;
    if (!now.ready) log.error({ reason }, 'the images cannot be reached: neither push nor pull is possible');
    else if (now.state !== 'ok') log.warn({ reason: now.state }, 'pushes are refused until there is more room');
    else log.info({ before: before.state }, 'the images can be reached, and there is room for more');
  }

  async function repeat(): Promise<void> {
    while (!ending.signal.aborted) {
      await sleep(every, undefined, { signal: ending.signal, ref: false }).catch(() => undefined);
      if (!ending.signal.aborted) await look();
    }
  }

  await look();
  const running = repeat();
  return {
    readiness: () => now,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await running;
    },
  };
}

async function readinessOf(
  driver: Pick<Driver, 'stat' | 'free'>,
  reserve: number,
  patience: number,
): Promise<Readiness & { readonly reason?: string }> {
  const late = new AbortController();
  try {
    const free = await Promise.race([
      driver.stat(scrubKey).then(() => driver.free()),
      sleep(patience, undefined, { signal: late.signal, ref: false }).then(() => {
        throw new Error(`no answer within ${patience / 1000} s`);
      }),
    ]);
    if (free === undefined || free >= reserve) return { ready: true, state: 'ok' };
    // In steps, so that it is not told anew with each byte.
    const left = Math.floor(free / (64 * MiB)) * 64;
    const kept = `storage.disk.free_space_reserve keeps ${Math.ceil(reserve / MiB)} MiB`;
    return { ready: true, state: `less than ${left + 64} MiB are free, and ${kept}: nothing more can be pushed` };
  } catch (error) {
    // Whoever asks learns nothing of what lies behind this server.
    return {
      ready: false,
      state: 'the images cannot be reached; the log says why',
      reason: error instanceof Error ? error.message : String(error),
    };
  } finally {
    late.abort();
  }
}
