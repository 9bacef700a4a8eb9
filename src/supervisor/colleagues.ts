import type { Answer, Crew, FromWorker, Question } from './messages.ts';

/** The workers of this machine, as one of them sees them. */
export interface Colleagues {
  /** Its place among them, from 0 on. */
  readonly slot: number;
  readonly count: number;
  /** Asks all of them, itself included. */
  ask(question: Question): Promise<{ readonly answers: readonly Answer[]; readonly crew: Crew }>;
}

/** Where one process is all there is. */
export function alone(answer: (question: Question) => Promise<Answer>): Colleagues {
  const crew: Crew = { workers: 1, deaths: 0 };
  return { slot: 0, count: 1, ask: async (question) => ({ answers: [await answer(question)], crew }) };
}

/** Those of a worker, which are reached through the supervisor. */
export class SupervisedColleagues implements Colleagues {
  readonly slot: number;
  readonly count: number;
  readonly #tell: (message: FromWorker) => void;
  readonly #waiting = new Map<number, (reply: Awaited<ReturnType<Colleagues['ask']>>) => void>();
  #last = 0;

  constructor(place: { readonly slot: number; readonly count: number }, tell: (message: FromWorker) => void) {
    this.slot = place.slot;
    this.count = place.count;
    this.#tell = tell;
  }

  ask(question: Question): ReturnType<Colleagues['ask']> {
    const id = (this.#last += 1);
    const { promise, resolve } = Promise.withResolvers<Awaited<ReturnType<Colleagues['ask']>>>();
    this.#waiting.set(id, resolve);
    this.#tell({ kind: 'ask', id, question });
    return promise;
  }

  /** The supervisor has all answers to a question. */
  hear(id: number, answers: readonly Answer[], crew: Crew): void {
    this.#waiting.get(id)?.({ answers, crew });
    this.#waiting.delete(id);
  }
}
