import { parentPort, Worker } from 'node:worker_threads';
import { SinkError } from './sink.ts';

/** A failure on its way from a worker. */
interface Failure {
  readonly code: 'unavailable' | 'refused';
  readonly message: string;
}

/** What a worker is asked. */
interface Call<Q> {
  readonly call: number;
  readonly request: Q;
}

type Answer<R> = { readonly call: number; readonly result: R } | { readonly call: number; readonly failure: Failure };

/** In the worker: answers each request in turn with what `handle` returns or throws. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- messages between threads have no type
export function serve<Q>(handle: (request: Q) => unknown): void {
  parentPort?.on('message', (message: Call<Q>) => {
    const { call, request } = message;
    try {
      parentPort?.postMessage({ call, result: handle(request) }, []);
    } catch (error) {
      parentPort?.postMessage({ call, failure: describeFailure(error) }, []);
    }
  });
}

/**
 * A thread that answers requests one after the other. When it dies, what was in flight fails as `unavailable`,
 * and the next request starts another.
 */
export class WorkerClient<Q, R> implements AsyncDisposable {
  readonly #script: URL;
  readonly #waiting = new Map<number, PromiseWithResolvers<R>>();
  #worker: Worker | undefined;
  #calls = 0;
  #closed = false;

  constructor(script: URL) {
    this.#script = script;
  }

  /** Requests that were not yet answered. */
  get load(): number {
    return this.#waiting.size;
  }

  /** @throws {SinkError} */
  async ask(request: Q, signal?: AbortSignal): Promise<R> {
    signal?.throwIfAborted();
    if (this.#closed) throw new SinkError('unavailable', 'the embedded log store is closed');
    this.#calls += 1;
    const call = this.#calls;
    const waiting = Promise.withResolvers<R>();
    this.#waiting.set(call, waiting);
    const abort = (): void => waiting.reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const message: Call<Q> = { call, request };
      this.#start().postMessage(message, []);
      return await waiting.promise;
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#waiting.delete(call);
    }
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(this.#script);
    this.#worker = worker;
    worker.on('message', (answer: Answer<R>) => {
      const waiting = this.#waiting.get(answer.call);
      if ('result' in answer) waiting?.resolve(answer.result);
      else waiting?.reject(new SinkError(answer.failure.code, answer.failure.message));
    });
    let reason = 'it ended';
    worker.on('error', (error) => (reason = error instanceof Error ? error.message : String(error)));
    worker.on('exit', () => {
      this.#worker = undefined;
      const error = new SinkError('unavailable', `a thread of the embedded log store died: ${reason}`);
      for (const waiting of this.#waiting.values()) waiting.reject(error);
    });
    return worker;
  }

  /** Ends the thread at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }
}

/** SQLite's result codes (sqlite.org/rescode.html) after which somebody must look at the file. */
const damaged = new Set([11 /* CORRUPT */, 26 /* NOTADB */]);

/** What a failure means to the one who asked. */
export function describeFailure(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const result = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
  if (damaged.has(result)) {
    return { code: 'refused', message: `a file of the embedded log store is damaged, move it away: ${message}` };
  }
  return { code: 'unavailable', message: `the embedded log store failed: ${message}` };
}
