import type { Bulk, SinkDocument } from '../../ingest/bulk.ts';

/** A record as its document says it. Times in µs since 1970. */
export interface TestRecord {
  readonly id: string;
  readonly sequence: number;
  readonly timestamp: number;
  readonly createdAt: number;
  readonly message: string;
  readonly host: string;
  readonly tags?: readonly string[];
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly container?: {
    readonly id?: string;
    readonly name?: string;
    readonly image?: { readonly hash?: { readonly all: readonly string[] } };
  };
}

interface Said extends Pick<TestRecord, 'message' | 'tags' | 'fields' | 'container'> {
  readonly '@timestamp': string;
  readonly event: { readonly created: string; readonly sequence: number };
  readonly host: { readonly name: string };
}

/** A document that was rendered, and what it says. */
export interface RenderedDocument extends SinkDocument {
  readonly record: TestRecord;
}

/** The documents of a bulk. */
export function documentsIn(bulk: Bulk): RenderedDocument[] {
  return Array.from(bulk, ({ id, json }) => {
    const { '@timestamp': time, event, host, message, tags, fields, container }: Said = JSON.parse(json);
    const record: TestRecord = {
      id,
      sequence: event.sequence,
      timestamp: micros(time),
      createdAt: micros(event.created),
      message,
      host: host.name,
      ...(tags && { tags }),
      ...(fields && { fields }),
      ...(container && { container }),
    };
    return { id, json, record };
  });
}

function micros(time: string): number {
  const more = /\.\d{3}(\d{3})Z/.exec(time)?.[1] ?? '0';
  return Date.parse(time) * 1000 + Number(more);
}
