/** What waits for one key: the last that runs alone, and those that share since. */
interface Turn {
  alone: Promise<void>;
  readonly sharing: Set<Promise<void>>;
  users: number;
}

/** Locks by key, within this process. Whoever came first goes first. */
export class KeyedLock {
  readonly #turns = new Map<string, Turn>();

  /** Runs beside others that share the key, never beside one that has it alone. */
  async shared<T>(key: string, work: () => Promise<T>): Promise<T> {
    return this.#run(key, work, (turn, done) => {
      turn.sharing.add(done);
      return turn.alone;
    });
  }

  /** Runs while nobody else does, for this key. */
  async alone<T>(key: string, work: () => Promise<T>): Promise<T> {
    return this.#run(key, work, (turn, done) => {
      const others = Promise.all([turn.alone, ...turn.sharing]);
      turn.alone = done;
      turn.sharing.clear();
      return others;
    });
  }

  async #run<T>(
    key: string,
    work: () => Promise<T>,
    enter: (turn: Turn, done: Promise<void>) => Promise<unknown>,
  ): Promise<T> {
    const turn = this.#turns.get(key) ?? { alone: Promise.resolve(), sharing: new Set<Promise<void>>(), users: 0 };
    this.#turns.set(key, turn);
    turn.users += 1;
    const { promise: done, resolve: leave } = Promise.withResolvers<void>();
    try {
      await enter(turn, done);
      return await work();
    } finally {
      leave();
      turn.sharing.delete(done);
      turn.users -= 1;
      if (turn.users === 0) this.#turns.delete(key);
    }
  }
}
