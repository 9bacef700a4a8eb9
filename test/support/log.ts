import type { Log } from '../../ingest/log.ts';

/** A log that says nothing. */
export const quiet: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
