import { Buffer, isUtf8 } from 'node:buffer';
import { isModest } from './bounds.ts';
import { dockerClaims } from './docker-claims.ts';
import { readJsonRecord } from './json.ts';
import type { Message } from './message.ts';
import { decodeValue, EventTime, toJson } from './msgpack.ts';
import { resolveJsonTime } from './time.ts';

/**
 * Fields of Docker's `fluentd` driver (moby, daemon/logger/fluentd/fluentd.go); all others are labels and variables.
 */
const dockers: ReadonlySet<string> = new Set(
  'container_id container_name source log partial_message partial_id partial_ordinal partial_last'.split(' '),
);

/** Fields that may hold the text of a message, of which the first that is there does. */
const texts = ['message', 'log', 'msg'] as const;

/** A decoded map; its keys have a `=` before them. */
type Fields = Readonly<Record<string, unknown>>;
type Time = Pick<Message, 'time' | 'timeOriginal'>;

/** Reads an event of the forward protocol: `[time, record]`, in msgpack. Never throws. `undefined`: it is none. */
export function readForwardEvent(tag: string, bytes: Uint8Array, arrivedAt: number): Message | undefined {
  const event = decodeValue(bytes);
  if (!Array.isArray(event)) return undefined;
  const [time, record]: readonly unknown[] = event;
  if (!isMap(record)) return undefined;
  const resolved = timeOf(time, arrivedAt);
  return dockerEvent(tag, resolved, record) ?? plainEvent(tag, resolved, record, arrivedAt);
}

function dockerEvent(tag: string, time: Time, record: Fields): Message | undefined {
  const { '=container_id': containerId, '=source': source, '=log': line } = record;
  const [id, stream] = [textOf(containerId), textOf(source)];
  if (id === undefined || !(line instanceof Uint8Array) || (stream !== 'stdout' && stream !== 'stderr')) {
    return undefined;
  }
  const labels: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(record)) {
    const name = key.slice(1);
    if (!dockers.has(name)) labels[name] = toJson(value);
  }
  const bytes = Buffer.from(line.buffer, line.byteOffset, line.byteLength);
  const partial = textOf(record['=partial_message']) === 'true' ? textOf(record['=partial_id']) : undefined;
  const more = partial !== undefined && textOf(record['=partial_last']) !== 'true';
  return {
    claims: dockerClaims({ tag, id, name: textOf(record['=container_name']), labels }),
    message: withoutEnd(bytes.toString()),
    ...time,
    stream,
    tags: isUtf8(bytes) ? [] : ['invalid_utf8'],
    ecs: {},
    fields: {},
    part: { key: `${id}\0${partial ?? ''}`, more, bytes },
  };
}

/** What others send: an object such as `POST /logs` takes, whose text may be called `log`. */
function plainEvent(tag: string, time: Time, record: Fields, arrivedAt: number): Message {
  const members: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(record)) members[key.slice(1)] = toJson(value);
  const whole = JSON.stringify(members);
  const modest = isModest(members) ? members : {};
  const key = texts.find((name) => typeof modest[name] === 'string');
  if (key !== undefined) {
    const text = modest[key];
    delete modest[key];
    modest['message'] = typeof text === 'string' ? withoutEnd(text) : text;
  }
  const read = readJsonRecord(modest, whole, arrivedAt);
  return { ...read, ...time, fields: { ...read.fields, ...(tag !== '' && { tag }) } };
}

/** `EventTime`, or s since 1970; fluent-bit may put it into an array, together with what it knows beside the record. */
function timeOf(time: unknown, arrivedAt: number): Time {
  const seconds = toJson(Array.isArray(time) ? time[0] : time);
  const resolved = resolveJsonTime(seconds, arrivedAt);
  if (resolved === undefined) return { time: { timestamp: arrivedAt, exact: true } };
  return resolved.exact ? { time: resolved } : { time: resolved, timeOriginal: String(seconds) };
}

function isMap(value: unknown): value is Fields {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value) &&
    !(value instanceof EventTime)
  );
}

function textOf(value: unknown): string | undefined {
  if (!(value instanceof Uint8Array) || value.length === 0) return undefined;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString();
}

/** What reads files leaves the end of the line on it, and a terminal its CR. */
function withoutEnd(text: string): string {
  const line = text.endsWith('\n') ? text.slice(0, -1) : text;
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}
