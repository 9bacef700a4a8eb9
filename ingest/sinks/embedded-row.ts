import { Bulk, type SinkDocument } from '../bulk.ts';

/** A document, and what its place in the store depends on, which it says itself. Times in µs since 1970. */
export interface Row extends SinkDocument {
  readonly document: unknown;
  readonly timestamp: number;
  readonly createdAt: number;
  readonly sequence: number;
}

/** The rows of a bulk, in its order; undefined: what is not JSON. What names no time came now. */
export function rowsOf(bulk: Uint8Array): (Row | undefined)[] {
  const now = Date.now() * 1000;
  const bytes = Buffer.from(bulk.buffer, bulk.byteOffset, bulk.length);
  return Array.from(new Bulk([bytes], 0, now), (document) => rowOf(document, now));
}

function rowOf({ id, json }: SinkDocument, now: number): Row | undefined {
  const document = parse(json);
  if (document === undefined) return undefined;
  const { '@timestamp': time, event }: Sketch = document ?? {};
  const createdAt = microseconds(event?.created) ?? now;
  const sequence = typeof event?.sequence === 'number' ? event.sequence : 0;
  return { id, json, document, createdAt, timestamp: microseconds(time) ?? createdAt, sequence };
}

interface Sketch {
  readonly '@timestamp'?: unknown;
  readonly event?: { readonly created?: unknown; readonly sequence?: unknown };
}

function parse(json: string): Sketch | null | undefined {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Of an ISO 8601 time: µs since 1970; undefined: it is none. */
function microseconds(time: unknown): number | undefined {
  if (typeof time !== 'string') return undefined;
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) return undefined;
  const more = /\.\d{3}(\d{1,3})/.exec(time)?.[1] ?? '';
  return ms * 1000 + Number(more.padEnd(3, '0'));
}
