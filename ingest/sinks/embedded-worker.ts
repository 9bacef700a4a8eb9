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

/** A request that is not answered yet. */
interface Waiting<Q, R> extends Call<Q> {
  readonly resolve: (result: R) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * A thread that answers requests one after the other. When it dies, what was in flight fails as `unavailable`,
 * and the next request starts another.
 */
export class WorkerClient<Q, R> implements AsyncDisposable {
  readonly #script: URL;
  /** In order; the thread has the first, and never another, so that what is aborted before its turn costs nothing. */
  readonly #waiting: Waiting<Q, R>[] = [];
  #current: Waiting<Q, R> | undefined;
  #worker: Worker | undefined;
  #calls = 0;
  #closed = false;

  constructor(script: URL) {
    this.#script = script;
  }

  /** Requests that were not yet answered. */
  get load(): number {
    return this.#waiting.length + (this.#current === undefined ? 0 : 1);
  }

  /** @throws {SinkError} */
  async ask(request: Q, signal?: AbortSignal): Promise<R> {
    signal?.throwIfAborted();
    if (this.#closed) throw new SinkError('unavailable', 'the embedded log store is closed');
    this.#calls += 1;
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    const waiting: Waiting<Q, R> = { call: this.#calls, request, resolve, reject };
    this.#waiting.push(waiting);
    const abort = (): void => {
      const place = this.#waiting.indexOf(waiting);
      if (place >= 0) this.#waiting.splice(place, 1);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      this.#next();
      return await promise;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  #next(): void {
    if (this.#current !== undefined) return;
    this.#current = this.#waiting.shift();
    if (this.#current === undefined) return;
    const { call, request } = this.#current;
    const message: Call<Q> = { call, request };
    try {
      this.#start().postMessage(message, []);
    } catch (error) {
      this.#current.reject(error);
      this.#current = undefined;
      this.#next();
    }
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(this.#script);
    this.#worker = worker;
    worker.on('message', (answer: Answer<R>) => {
      const current = this.#current;
      if (current?.call !== answer.call) return;
      this.#current = undefined;
      if ('result' in answer) current.resolve(answer.result);
      else current.reject(new SinkError(answer.failure.code, answer.failure.message));
      this.#next();
    });
    let reason = 'it ended';
    worker.on('error', (error) => (reason = error instanceof Error ? error.message : String(error)));
    worker.on('exit', () => {
      this.#worker = undefined;
      const error = new SinkError('unavailable', `a thread of the embedded log store died: ${reason}`);
      for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
      this.#current?.reject(error);
      this.#current = undefined;
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
