import { Bulk } from './bulk.ts';
import type { Deliverer } from './deliverer.ts';
import { Progress } from './progress.ts';
import type { RenderQueue } from './render-queue.ts';
import type { Journal } from './spool/journal.ts';

/** How long, in ms, what waits for a whole delivery waits at most, while others are under way. */
const longestWait = 1000;
/** Deliveries that may begin before the first one has ended: so many are delivered again after a death. */
const mostAhead = 64;

/** The deliveries of one journal, in the order of its blocks. What is under way is awaited by disposing. */
export class Deliveries implements AsyncDisposable {
  readonly #queue: RenderQueue;
  readonly #deliverer: Deliverer;
  readonly #progress: Progress;
  readonly #signal: AbortSignal;
  /** What is under way, in order. */
  readonly #underWay = new Map<Bulk, Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #due = false;

  constructor(journal: Pick<Journal, 'advance'>, queue: RenderQueue, deliverer: Deliverer, signal: AbortSignal) {
    this.#progress = new Progress(journal);
    this.#queue = queue;
    this.#deliverer = deliverer;
    this.#signal = signal;
  }

  /** Whether all that came is delivered. */
  get idle(): boolean {
    return this.#queue.empty && this.#underWay.size === 0;
  }

  /** Records that are not noted in the journal as delivered. */
  get records(): number {
    return this.#queue.records + this.#progress.records;
  }

  /** When the oldest of what is not settled arrived, in µs since 1970; `Infinity`: all is. */
  get oldest(): number {
    return Math.min(this.#queue.oldest, ...this.#underWay.keys().map(({ oldest }) => oldest));
  }

  /**
   * Begins those that may be under way now. Beside others only a whole one is begun, or one that has waited long enough.
   * The queue is woken when that changes. Throws what a delivery failed with, which is no fault of the sink.
   */
  begin(): void {
    while (this.#mayBegin()) this.#begin();
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#queue.empty || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#due = true;
      this.#queue.wake();
    }, longestWait);
  }

  #mayBegin(): boolean {
    if (this.#queue.empty || this.#signal.aborted) return false;
    const { size } = this.#underWay;
    if (size === 0) return true;
    if (size >= this.#deliverer.window.size || this.#progress.behind >= mostAhead) return false;
    return this.#queue.full || this.#queue.ended || this.#due;
  }

  #begin(): void {
    const batch = this.#queue.take();
    const bulk = Bulk.join(batch.map(({ bulk }) => bulk));
    const progress = this.#progress.begin(batch);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = false;
    const deliver = async (): Promise<void> => {
      try {
        await this.#deliverer.deliver(bulk, progress, this.#signal);
        if (!this.#signal.aborted) progress.done();
      } catch (error) {
        this.#failure ??= { error };
      } finally {
        this.#underWay.delete(bulk);
        this.#queue.wake();
      }
    };
    // So that it is under way before it can have ended.
    this.#underWay.set(bulk, Promise.resolve().then(deliver));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all(this.#underWay.values());
  }
}
