import type { LogDocument } from '../../ingest/record.ts';

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
export function document(sketch: Sketch): LogDocument {
  const { id, time, sequence = 0, message = 'a line', fields = {}, createdAt = time } = sketch;
  const json = {
    '@timestamp': new Date(time).toISOString(),
    message,
    event: { created: new Date(createdAt).toISOString(), sequence },
    ...fields,
  };
  return {
    record: {
      id,
      sequence,
      timestamp: time * 1000,
      createdAt: createdAt * 1000,
      message,
      host: 'node',
      cluster: 'test',
    },
    json: JSON.stringify({ host: { name: 'node' }, ...json }),
  };
}

/** The time of most tests' documents, in ms since 1970. */
export const noon: number = Date.UTC(2026, 10, 24, 12);
