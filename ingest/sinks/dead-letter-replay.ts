import type { KeptLetter } from './dead-letter-lines.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { Sink, SinkDocument } from './sink.ts';

/** What became of letters that were sent again. */
export interface Replayed {
  /** The sink took them; they are no longer kept. */
  readonly taken: number;
  /** It rejected them once more, or takes nothing now; they stay. */
  readonly kept: number;
}

/** Characters of JSON, and letters, in one delivery. */
const largest = { size: 4 * 1024 * 1024, letters: 1000 };

/**
 * Hands letters to the sink again: those with the given ids, or all.
 * @throws {SinkError} the sink is away; what it took before is no longer kept
 */
export async function replay(
  deadLetters: Pick<DeadLetters, 'read' | 'remove'>,
  sink: Pick<Sink, 'deliver'>,
  ids: ReadonlySet<string> | undefined,
  signal: AbortSignal,
): Promise<Replayed> {
  const taken = new Set<string>();
  const seen = new Set<string>();
  let batch: SinkDocument[] = [];
  const send = async (): Promise<void> => {
    const documents = batch;
    batch = [];
    if (documents.length === 0) return;
    const outcomes = await sink.deliver(documents, signal);
    documents.forEach(({ record }, index) => {
      const status = outcomes[index]?.status ?? 'retry';
      if (status !== 'retry' && status !== 'rejected') taken.add(record.id);
    });
  };
  try {
    let size = 0;
    for await (const letter of deadLetters.read()) {
      if (seen.has(letter.id) || ids?.has(letter.id) === false) continue;
      seen.add(letter.id);
      if (batch.length > 0 && (batch.length >= largest.letters || size + letter.document.length > largest.size)) {
        await send();
        size = 0;
      }
      batch.push(toDocument(letter));
      size += letter.document.length;
    }
    await send();
  } finally {
    if (taken.size > 0) await deadLetters.remove(taken);
  }
  return { taken: taken.size, kept: seen.size - taken.size };
}

/** What the sink needs to know of a document, read from itself. */
function toDocument({ id, at, document }: KeptLetter): SinkDocument {
  const { '@timestamp': timestamp, event }: Sketch = JSON.parse(document) ?? {};
  const rejectedAt = microseconds(at) ?? 0;
  const createdAt = microseconds(event?.created) ?? rejectedAt;
  const sequence = typeof event?.sequence === 'number' ? event.sequence : 0;
  return { record: { id, sequence, createdAt, timestamp: microseconds(timestamp) ?? createdAt }, json: document };
}

interface Sketch {
  readonly '@timestamp'?: unknown;
  readonly event?: { readonly created?: unknown; readonly sequence?: unknown };
}

/** Of an ISO 8601 time: µs since 1970; undefined: it is none. */
function microseconds(time: unknown): number | undefined {
  if (typeof time !== 'string') return undefined;
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) return undefined;
  const more = /\.\d{3}(\d{1,3})/.exec(time)?.[1] ?? '';
  return ms * 1000 + Number(more.padEnd(3, '0'));
}
