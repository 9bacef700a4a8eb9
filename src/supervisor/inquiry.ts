import type { Worker } from 'node:cluster';
import type { Answer, Question, ToWorker } from './messages.ts';

/** How long workers have to answer, in ms; who has not by then is left out. */
const patience = 5000;

interface Open {
  readonly waiting: Set<Worker>;
  readonly answers: Answer[];
  readonly done: (answers: Answer[]) => void;
}

/** Questions of one worker to all, as the supervisor passes them on. */
export class Inquiry {
  readonly #workers: () => readonly Worker[];
  readonly #open = new Map<number, Open>();
  #last = 0;

  constructor(workers: () => readonly Worker[]) {
    this.#workers = workers;
  }

  /** What all that are there answer, in no order. */
  ask(question: Question): Promise<Answer[]> {
    const id = (this.#last += 1);
    const waiting = new Set(this.#workers().filter((worker) => worker.isConnected()));
    const { promise, resolve: done } = Promise.withResolvers<Answer[]>();
    const open: Open = { waiting, answers: [], done };
    this.#open.set(id, open);
    const message: ToWorker = { kind: 'question', id, question };
    for (const worker of waiting) worker.send(message);
    const timer = setTimeout(() => this.#close(id), patience);
    return promise.finally(() => clearTimeout(timer));
  }

  /** A worker answers, or has nothing to say. */
  hear(worker: Worker, id: number, answer: Answer | undefined): void {
    const open = this.#open.get(id);
    if (open?.waiting.delete(worker) !== true) return;
    if (answer !== undefined) open.answers.push(answer);
    if (open.waiting.size === 0) this.#close(id);
  }

  /** A worker is gone. */
  forget(worker: Worker): void {
    for (const [id, { waiting }] of this.#open) {
      if (waiting.delete(worker) && waiting.size === 0) this.#close(id);
    }
  }

  #close(id: number): void {
    const open = this.#open.get(id);
    this.#open.delete(id);
    open?.done(open.answers);
  }
}
