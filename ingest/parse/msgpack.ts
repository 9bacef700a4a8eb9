import { Decoder } from '@msgpack/msgpack';
import { endOfValue } from './msgpack-scan.ts';

/** `EventTime` of the forward protocol, ext type 0: whole seconds since 1970, and ns. */
export class EventTime {
  readonly seconds: number;
  readonly nanoseconds: number;

  constructor(seconds: number, nanoseconds: number) {
    this.seconds = seconds;
    this.nanoseconds = nanoseconds;
  }
}

const decoder = new Decoder({
  useBigInt64: true,
  // A text may be no UTF-8, and a part of a line may end within a character.
  rawStrings: true,
  // The decoder refuses the key `__proto__`: with something before them all keys are alike.
  keyDecoder: {
    canBeCached: () => true,
    decode: (bytes, start, length) => `=${utf8(bytes.subarray(start, start + length))}`,
  },
  mapKeyConverter: (key) => (typeof key === 'string' ? key : `=${key instanceof Uint8Array ? utf8(key) : String(key)}`),
  extensionCodec: {
    tryToEncode: () => null,
    decode(data, type) {
      if (type !== 0 || data.length !== 8) return data;
      const view = new DataView(data.buffer, data.byteOffset, 8);
      return new EventTime(view.getUint32(0), view.getUint32(4));
    },
  },
});

/**
 * Decodes one value: texts and ext are bytes, integers of 64 bits are bigint, and the keys of a map have a `=` before
 * them. `undefined`: the bytes are no value, or not just one.
 */
export function decodeValue(bytes: Uint8Array): unknown {
  // The decoder would make an array as long as its head says, before it sees that nothing follows.
  if (endOfValue(bytes, 0) !== bytes.length) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

/** A decoded value as JSON has it: bytes as text, large integers as the text of their digits. */
export function toJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return utf8(value);
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (value instanceof EventTime) return value.seconds + value.nanoseconds / 1e9;
  if (Array.isArray(value)) return value.map((item: unknown) => toJson(item));
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, member] of Object.entries(value)) copy[key.slice(1)] = toJson(member);
  return copy;
}
