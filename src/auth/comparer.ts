import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

/** Compares passwords with bcrypt hashes in threads of its own. */
export interface Comparer extends AsyncDisposable {
  /**
   * @throws {BusyError} when too many comparisons wait already.
   */
  compare(password: string, hash: string): Promise<boolean>;
}

/** Too many comparisons wait. */
export class BusyError extends Error {
  override readonly name = 'BusyError';
}

interface Job {
  readonly password: string;
  readonly hash: string;
  readonly resolve: (equal: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** Starts threads as they are needed: one for each two cores. At most `queue` comparisons wait. */
export function createComparer({ queue = 64 }: { queue?: number } = {}): Comparer {
  const most = Math.max(1, Math.floor(availableParallelism() / 2));
  const waiting: Job[] = [];
  const idle: Worker[] = [];
  const busy = new Map<Worker, Job>();
  let closed = false;

  function start(): Worker {
    const worker = new Worker(new URL('./compare-worker.ts', import.meta.url));
    worker.unref();
    worker.on('message', ({ equal }: { equal: boolean }) => {
      const job = busy.get(worker);
      busy.delete(worker);
      idle.push(worker);
      job?.resolve(equal);
      next();
    });
    worker.on('error', (error) => {
      const job = busy.get(worker);
      busy.delete(worker);
      job?.reject(error instanceof Error ? error : new Error(String(error)));
      next();
    });
    return worker;
  }

  function next(): void {
    if (closed) return;
    while (busy.size < most) {
      const job = waiting.shift();
      if (job === undefined) return;
      const worker = idle.pop() ?? start();
      busy.set(worker, job);
      worker.postMessage({ password: job.password, hash: job.hash }, []);
    }
  }

  return {
    compare(password, hash) {
      return new Promise((resolve, reject) => {
        if (closed || waiting.length >= queue) return reject(new BusyError('too many log-ins at once'));
        waiting.push({ password, hash, resolve, reject });
        next();
      });
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      const error = new BusyError('the server is ending');
      for (const job of [...waiting.splice(0), ...busy.values()]) job.reject(error);
      await Promise.all([...idle, ...busy.keys()].map((worker) => worker.terminate()));
    },
  };
}
