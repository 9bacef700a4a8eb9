import { Buffer } from 'node:buffer';
import { decodeValue, toJson } from './msgpack.ts';
import { bodyOf, endOfValue, placesIn } from './msgpack-scan.ts';

/** A message of the forward protocol, taken apart as far as is needed to keep it. */
export interface ForwardMessage {
  readonly tag: Uint8Array;
  /** One `[time, record]` behind the other. */
  readonly events: Uint8Array;
  /** Whether the events are compressed with gzip. */
  readonly compressed: boolean;
  /** By what the sender wants to be told that it is kept. */
  readonly chunk?: string;
}

/** The longest name of a chunk, in characters. */
const longestChunk = 1024;
/** Events of one message. */
const mostEvents = 1_000_000;
/** How an array of two values begins. */
const pair = 0x92;

/**
 * Takes a message apart, in any of the modes of the forward protocol ("Forward Protocol Specification v1"):
 *
 * - `[tag, time, record, option?]`
 * - `[tag, [[time, record], …], option?]`
 * - `[tag, bytes, option?]`, where the bytes are events one behind the other, or such compressed
 *
 * `undefined`: it is none.
 */
export function readForwardMessage(message: Uint8Array): ForwardMessage | undefined {
  const places = placesIn(message) ?? [];
  const values = places.slice(1).map((end, index) => message.subarray(places[index], end));
  const [tagValue, second, third, fourth] = values;
  if (tagValue === undefined || second === undefined || values.length > 4) return undefined;
  const [tag, body] = [bodyOf(tagValue), bodyOf(second)];
  if (tag?.kind !== 'text') return undefined;
  if (body === undefined) {
    const option = third && optionOf(fourth);
    const events = Buffer.concat([Buffer.from([pair]), second, third ?? second]);
    return option && !option.compressed ? { tag: tag.bytes, events, ...option } : undefined;
  }
  const option = fourth === undefined ? optionOf(third) : undefined;
  if (option === undefined || (option.compressed && body.kind === 'array')) return undefined;
  return { tag: tag.bytes, events: body.bytes, ...option };
}

/** Undefined: it is no option, or asks for what there is not. */
function optionOf(value: Uint8Array | undefined): Pick<ForwardMessage, 'compressed' | 'chunk'> | undefined {
  const option = value === undefined ? {} : (toJson(decodeValue(value)) ?? {});
  if (typeof option !== 'object') return undefined;
  const { chunk, compressed = 'text' }: { chunk?: unknown; compressed?: unknown } = option;
  if (compressed !== 'gzip' && compressed !== 'text') return undefined;
  const named = typeof chunk === 'string' && chunk !== '';
  if ((chunk !== undefined && chunk !== null && !named) || (named && chunk.length > longestChunk)) return undefined;
  return { compressed: compressed === 'gzip', ...(named && { chunk }) };
}

/** Where each of some events ends; undefined: they are none. */
export function endsOfEvents(events: Uint8Array): readonly number[] | undefined {
  const ends: number[] = [];
  for (let at = 0; at < events.length;) {
    const end = events[at] === pair ? endOfValue(events, at) : undefined;
    if (end === undefined || ends.length === mostEvents) return undefined;
    ends.push(end);
    at = end;
  }
  return ends;
}

/** Events, and where each of them ends. */
export interface EventRun {
  readonly events: Uint8Array;
  readonly ends: readonly number[];
}

/** The payload of a block of the kind `forward`: a tag and its events, each with its length before it. */
export function joinEvents(tag: Uint8Array, runs: readonly EventRun[]): Uint8Array {
  const length = runs.reduce((sum, { events, ends }) => sum + events.length + 4 * ends.length, 4 + tag.length);
  const payload = Buffer.allocUnsafe(length);
  payload.writeUInt32BE(tag.length);
  payload.set(tag, 4);
  let at = 4 + tag.length;
  for (const { events, ends } of runs) {
    let start = 0;
    for (const end of ends) {
      payload.writeUInt32BE(end - start, at);
      payload.set(events.subarray(start, end), at + 4);
      at += 4 + end - start;
      start = end;
    }
  }
  return payload;
}
