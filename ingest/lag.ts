import type { Log } from './log.ts';

/** How often it is looked, in ms, and the least lag that is told of. */
const interval = 60_000;

/**
 * Warns once a minute while records wait longer and longer for the sink; says when they do no more. `lagNow`: how long the
 * oldest waits, in ms.
 */
export function warnOfLag(lagNow: () => number, inFlight: () => number, log: Log): Disposable {
  let before = 0;
  let warned = false;
  const timer = setInterval(() => {
    const lag = lagNow();
    if (lag > interval && lag > before) {
      const seconds = Math.round(lag / 1000);
      log.warn({ seconds, inFlight: inFlight() }, 'records wait longer and longer for the log sink');
      warned = true;
    } else if (warned && lag <= interval) {
      log.info({}, 'records wait for the log sink no more');
      warned = false;
    }
    before = lag;
  }, interval).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
