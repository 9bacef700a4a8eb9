const signals = ['SIGTERM', 'SIGINT'] as const;

/** For how long another signal counts as the first one, in ms: npm passes on what the terminal sends to all. */
const echo = 1000;

/** Signals that ask the process to end. Once disposed they do what they do without it. */
export interface EndSignals extends Disposable {
  /** Resolves at the first one; one that comes later ends the process at once, as if it had not been caught. */
  readonly first: Promise<NodeJS.Signals>;
  /** Is given at the first one. */
  readonly signal: AbortSignal;
}

export function catchEndSignals(): EndSignals {
  const { promise: first, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const ending = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const letGo = (): void => {
    clearTimeout(timer);
    for (const name of signals) process.off(name, caught);
  };
  const caught = (signal: NodeJS.Signals): void => {
    timer ??= setTimeout(letGo, echo).unref();
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
