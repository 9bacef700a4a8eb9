import { serve } from '../../ingest/sinks/embedded-worker.ts';

let count = 0;

/** Answers how many requests came so far. */
serve<string>(() => (count += 1));
