import { appendFileSync } from 'node:fs';
import { test } from 'vitest';

/** Whether the long tests run: `npm run test:peers -- --long`. */
const long = process.env['SHIPLOG_PEERS_LONG'] === '1';
/** A file that takes the names of those left out, for the last lines of the run. */
const leftOut = process.env['SHIPLOG_PEERS_LEFT_OUT'];

/**
 * A test of minutes, for `--long` alone; else it is not there, and its name is printed as left out. It may take an hour,
 * or `timeout` in ms. A file, or a `describe`, must have a short test as well, since vitest takes none that is empty.
 */
export function longTest(name: string, run: () => Promise<void>, timeout = 3_600_000): void {
  if (long) test(name, run, timeout);
  else if (leftOut === undefined) console.log(`left out: ${name}`);
  else appendFileSync(leftOut, `${name}\n`);
}
