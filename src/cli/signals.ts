const signals = ['SIGTERM', 'SIGINT'] as const;

/** Signals that ask the process to end. Once disposed they do what they do without it. */
export interface EndSignals extends Disposable {
  /** Resolves at the first one; the next one ends the process at once, as if it had not been caught. */
  readonly first: Promise<NodeJS.Signals>;
  /** Is given at the first one. */
  readonly signal: AbortSignal;
}

export function catchEndSignals(): EndSignals {
  const { promise: first, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const ending = new AbortController();
  const letGo = (): void => {
    for (const name of signals) process.off(name, caught);
  };
  const caught = (signal: NodeJS.Signals): void => {
    letGo();
    ending.abort();
    resolve(signal);
  };
  for (const name of signals) process.on(name, caught);
  return { first, signal: ending.signal, [Symbol.dispose]: letGo };
}

/** Runs something at each SIGHUP, which would end the process without it. */
export function onHangUp(run: () => Promise<void>): Disposable {
  const caught = (): void => void run();
  process.on('SIGHUP', caught);
  return { [Symbol.dispose]: () => void process.off('SIGHUP', caught) };
}
