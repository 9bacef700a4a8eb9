import { Worker } from 'node:worker_threads';
import { type Algorithm, splitDigest } from './digest.ts';
import type { HashedMemory, SavedHash, UploadHash } from './hash.ts';
import type { HashAnswer, HashBeginning, HashRequest } from './hash-worker.ts';

/**
 * Hashes in a thread of its own, beside what this one does. The thread is started when it is first wanted, and again where
 * it died; the hashes that it had cannot be saved then.
 */
export class HashThread implements AsyncDisposable {
  #thread: Thread | undefined;
  #begun = 0;
  /** Many may know of a hash, as requests take over from each other: it ends when none does any more. */
  readonly #forgotten = new FinalizationRegistry<{ thread: Thread; hash: number }>(({ thread, hash }) =>
    thread.tell({ hash, drop: true }),
  );

  /** Of nothing so far; it stays in this process. */
  start(algorithm: Algorithm): UploadHash {
    return this.#begin({ start: algorithm }, { algorithm, length: 0 });
  }

  /** Of nothing so far; it can be saved with its state. */
  movable(algorithm: Algorithm): UploadHash {
    return this.#begin({ movable: algorithm }, { algorithm, length: 0 });
  }

  /** Goes on with what was saved; undefined where that has no state. */
  resume(saved: SavedHash): UploadHash | undefined {
    if (saved.state === undefined) return undefined;
    const { algorithm } = splitDigest(saved.digest);
    return this.#begin({ resume: saved }, { algorithm, length: saved.length });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread?.end();
  }

  #begin(beginning: HashBeginning, of: { algorithm: Algorithm; length: number }): UploadHash {
    if (this.#thread?.isOver !== false) this.#thread = new Thread();
    const [thread, hash] = [this.#thread, (this.#begun += 1)];
    thread.tell({ hash, ...beginning });
    const begun = new ThreadHash(thread, hash, of);
    this.#forgotten.register(begun, { thread, hash });
    return begun;
  }
}

/** A hash in another thread. */
class ThreadHash implements UploadHash {
  readonly algorithm: Algorithm;
  readonly #thread: Thread;
  readonly #hash: number;
  #length: number;

  constructor(thread: Thread, hash: number, { algorithm, length }: { algorithm: Algorithm; length: number }) {
    this.algorithm = algorithm;
    this.#thread = thread;
    this.#hash = hash;
    this.#length = length;
  }

  get length(): number {
    return this.#length;
  }

  async update(chunks: readonly Uint8Array[], memory?: ArrayBuffer): Promise<HashedMemory> {
    for (const chunk of chunks) this.#length += chunk.length;
    try {
      const answer = await this.#thread.ask({ hash: this.#hash, update: chunks, memory }, memory && [memory]);
      return 'memory' in answer ? answer.memory : undefined;
    } catch {
      // The thread has ended, as `save` will say.
      return undefined;
    }
  }

  async save(): Promise<SavedHash> {
    const answer = await this.#thread.ask({ hash: this.#hash, save: true });
    if (!('saved' in answer)) throw new Error('the thread that hashes answered something else');
    return answer.saved;
  }
}

/** The thread, which answers what it is asked in turn. */
class Thread {
  readonly #worker = new Worker(new URL('./hash-worker.ts', import.meta.url));
  readonly #asked: PromiseWithResolvers<HashAnswer>[] = [];
  #over: Error | undefined;

  constructor() {
    this.#worker.unref();
    this.#worker.on('message', (answer: HashAnswer) => this.#asked.shift()?.resolve(answer));
    let cause: unknown;
    this.#worker.on('error', (error) => (cause = error));
    this.#worker.on('exit', () => {
      this.#over = new Error('the thread that hashes has ended', { cause });
      for (const { reject } of this.#asked.splice(0)) reject(this.#over);
    });
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  tell(request: HashRequest, transferred: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transferred);
  }

  /** @throws where the thread ends before it has answered */
  async ask(request: HashRequest, transferred: readonly ArrayBuffer[] = []): Promise<HashAnswer> {
    if (this.#over !== undefined) throw this.#over;
    const answer = Promise.withResolvers<HashAnswer>();
    this.#asked.push(answer);
    this.tell(request, transferred);
    return answer.promise;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
