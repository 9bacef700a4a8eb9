import { openEmbedded } from '../../ingest/sinks/embedded.ts';
import { bulkOf, document, noon } from './documents.ts';
import { quiet } from './log.ts';

/** Stores batch after batch and tells its parent the ids that were acknowledged, until it is killed. */
const [, , directory = ''] = process.argv;
const sink = await openEmbedded({ directory, log: quiet });
for (let batch = 0; ; batch += 1) {
  const ids = Array.from({ length: 20 }, (_, index) => `${batch}-${index}`);
  const documents = ids.map((id, index) => document({ id, time: noon + batch + index, message: id }));
  await sink.deliver(bulkOf(documents), new AbortController().signal);
  process.send?.(ids);
}
