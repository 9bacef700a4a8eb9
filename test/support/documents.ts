import { Bulk, type SinkDocument } from '../../ingest/bulk.ts';

/** What a test says of a document. `time` in ms since 1970; `fields` are merged into the document. */
export interface Sketch {
  readonly id: string;
  readonly time: number;
  readonly sequence?: number;
  readonly message?: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Receipt, in ms since 1970; the time unless given. */
  readonly createdAt?: number;
}

/** A document ready for a sink. */
export interface TestDocument extends SinkDocument {
  /** µs since 1970. */
  readonly createdAt: number;
}

/** What is delivered together. */
export function bulkOf(documents: readonly TestDocument[]): Bulk {
  return Bulk.of(documents, Math.min(...documents.map(({ createdAt }) => createdAt)));
}

export function document(sketch: Sketch): TestDocument {
  const { id, time, sequence = 0, message = 'a line', fields = {}, createdAt = time } = sketch;
  const json = {
    '@timestamp': new Date(time).toISOString(),
    message,
    event: { created: new Date(createdAt).toISOString(), sequence },
    ...fields,
  };
  return { id, createdAt: createdAt * 1000, json: JSON.stringify({ host: { name: 'node' }, ...json }) };
}

/** The time of most tests' documents, in ms since 1970. */
export const noon: number = Date.UTC(2026, 10, 24, 12);
