import { Bulk, type SinkDocument } from '../bulk.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { Sink } from './sink.ts';

/** What became of letters that were sent again. */
export interface Replayed {
  /** The sink took them; they are no longer kept. */
  readonly taken: number;
  /** It rejected them once more, or takes nothing now; they stay. */
  readonly kept: number;
}

/** When they arrived, in µs since 1970: an earlier life may have sent them. */
const earlier = 0;

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
    const outcomes = await sink.deliver(Bulk.of(documents, earlier), signal);
    documents.forEach(({ id }, index) => {
      const status = outcomes[index]?.status ?? 'retry';
      if (status !== 'retry' && status !== 'rejected') taken.add(id);
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
      batch.push({ id: letter.id, json: letter.document });
      size += letter.document.length;
    }
    await send();
  } finally {
    if (taken.size > 0) await deadLetters.remove(taken);
  }
  return { taken: taken.size, kept: seen.size - taken.size };
}
