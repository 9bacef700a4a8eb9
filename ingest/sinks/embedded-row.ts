import { Bulk, type SinkDocument } from '../bulk.ts';
import { valuesAt } from '../query/values.ts';
import { factsOf } from './embedded-schema.ts';

/** A document, and what the store must know of it, which it says itself. Times in µs since 1970. */
export interface Row extends SinkDocument {
  readonly timestamp: number;
  readonly createdAt: number;
  readonly sequence: number;
  readonly message: string;
  /** As `sources.facts` holds them. */
  readonly facts: string;
  /** A part of its JSON that many documents are likely to have alike, and where it starts. */
  readonly common?: { readonly start: number; readonly text: string };
}

/** The rows of a bulk, in its order; undefined: what is not JSON. What names no time came now. */
export function rowsOf(bulk: Uint8Array): (Row | undefined)[] {
  const now = Date.now() * 1000;
  const bytes = Buffer.from(bulk.buffer, bulk.byteOffset, bulk.length);
  return Array.from(new Bulk([bytes], 0, now), (document) => skimmed(document) ?? parsed(document, now));
}

function parsed({ id, json }: SinkDocument, now: number): Row | undefined {
  const document = parse(json);
  if (document === undefined) return undefined;
  const { '@timestamp': time, event }: Sketch = document ?? {};
  const createdAt = microseconds(event?.created) ?? now;
  const sequence = typeof event?.sequence === 'number' ? event.sequence : 0;
  const message = valuesAt(document, 'message').join(' ');
  const timestamp = microseconds(time) ?? createdAt;
  return { id, json, createdAt, timestamp, sequence, message, facts: factsOf(document) };
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

/** How a document begins that `render-ecs.ts` wrote, around its time, its message and its receipt. */
const [beforeTime, beforeMessage] = ['{"@timestamp":"', '","message":"'];
// Within a message each quote has a backslash before it.
const [beforeEvent, beforeSequence] = ['","event":{"created":"', ',"sequence":'];

/**
 * Reads a document without parsing it as a whole, as far as it is written as `render-ecs.ts` does: each time, message and
 * receipt, and the facts of what comes behind, once for all documents that have the same. Undefined: it is not.
 */
function skimmed({ id, json }: SinkDocument): Row | undefined {
  const timeEnd = json.indexOf('"', beforeTime.length);
  if (!json.startsWith(beforeTime) || !json.startsWith(beforeMessage, timeEnd)) return undefined;
  const messageStart = timeEnd + beforeMessage.length;
  const messageEnd = json.indexOf(beforeEvent, messageStart - 1);
  if (messageEnd < messageStart) return undefined;
  const createdStart = messageEnd + beforeEvent.length;
  const createdEnd = json.indexOf('"', createdStart);
  const sequenceStart = json.indexOf(beforeSequence, createdEnd) + beforeSequence.length;
  const sequenceEnd = json.indexOf(',', sequenceStart);
  if (sequenceStart < createdEnd || sequenceEnd < 0) return undefined;
  const sequence = Number(json.slice(sequenceStart, sequenceEnd));
  const timestamp = microseconds(json.slice(beforeTime.length, timeEnd));
  const createdAt = microseconds(json.slice(createdStart, createdEnd));
  const known = factsBehind(json, sequenceEnd);
  if (!Number.isSafeInteger(sequence) || timestamp === undefined || createdAt === undefined) return undefined;
  if (known === undefined) return undefined;
  const text = json.slice(messageStart, messageEnd);
  const message: string = text.includes('\\') ? JSON.parse(`"${text}"`) : text;
  const common = { start: sequenceEnd, text: known.common };
  return { id, json, createdAt, timestamp, sequence, message, facts: known.facts, common };
}

/** What is known of a text that stands behind `event.sequence`. */
interface Known {
  readonly facts: string;
  /** Its beginning, up to what changes more often. The same string each time, whose hash need not be found again. */
  readonly common: string;
}

const knownTexts = new Map<string, Known>();
const mostKnown = 10_000;

/** What comes behind `event.sequence`, within `event`; undefined: it has members that come before, too. */
function factsBehind(json: string, start: number): Known | undefined {
  const timeOriginal = json.indexOf('"time_original":"', start);
  // No fact, and different in each second: the last member of `shiplog`, which is the last one unless there is more.
  const end = timeOriginal > 0 && json.indexOf('"', timeOriginal + 17) === json.length - 3 ? timeOriginal : json.length;
  const text = json.slice(start, end);
  const known = knownTexts.get(text);
  if (known !== undefined) return known;
  const document = parse(`{"event":{"":0${json.slice(start)}`);
  if (typeof document !== 'object' || document === null) return undefined;
  if ('message' in document || '@timestamp' in document) return undefined;
  const shiplog = text.lastIndexOf(',"shiplog":{');
  const found = { facts: factsOf(document), common: text.slice(0, shiplog > 0 ? shiplog : undefined) };
  if (knownTexts.size >= mostKnown) knownTexts.clear();
  knownTexts.set(text, found);
  return found;
}
