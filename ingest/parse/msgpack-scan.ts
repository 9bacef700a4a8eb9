/** The deepest nesting of a value. */
const deepest = 32;

const more = 'more';
const bad = 'bad';

/**
 * Finds where a msgpack value ends, without decoding it (msgpack's specification, "Formats"): what a stream is cut by,
 * and what a decoder may be trusted with. It goes on where it stopped, so that a value which comes in many chunks costs
 * no more.
 */
export class ValueScanner {
  /** Values that are still to come, of each array and map that is open. */
  readonly #open: number[] = [1];
  #at: number;

  /** Starts at a place. */
  constructor(at = 0) {
    this.#at = at;
  }

  /** Where the value ends; `more`: not in these bytes, which are those of before and more; `bad`: it is none. */
  scan(bytes: Uint8Array): number | 'more' | 'bad' {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (;;) {
      while (this.#open.at(-1) === 0) this.#open.pop();
      const depth = this.#open.length - 1;
      if (depth < 0) return this.#at;
      const head = headAt(view, this.#at);
      if (typeof head === 'string') return head;
      const end = this.#at + head.length;
      if (end > bytes.length) return more;
      this.#at = end;
      this.#open[depth] = (this.#open[depth] ?? 0) - 1;
      if (head.values === 0) continue;
      if (depth >= deepest) return bad;
      this.#open.push(head.values);
    }
  }
}

/** What starts at a place: its length in bytes without the values in it, and how many those are. */
interface Head {
  readonly length: number;
  readonly values: number;
}

/** `bin 8`, `ext 32`, …, from 0xc4 on: the bytes of the length, and those between it and the content. */
const sized: readonly (readonly [length: number, between: number])[] = [
  [1, 0],
  [2, 0],
  [4, 0],
  [1, 1],
  [2, 1],
  [4, 1],
];
/** `float 32` to `fixext 16`, from 0xca on: bytes behind the first. */
const fixed: readonly number[] = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17];

function headAt(view: DataView, at: number): Head | 'more' | 'bad' {
  if (at >= view.byteLength) return more;
  const first = view.getUint8(at);
  if (first < 0x80 || first >= 0xe0) return { length: 1, values: 0 };
  if (first < 0x90) return { length: 1, values: 2 * (first & 15) };
  if (first < 0xa0) return { length: 1, values: first & 15 };
  if (first < 0xc0) return { length: 1 + (first & 31), values: 0 };
  if (first === 0xc1) return bad;
  if (first < 0xc4) return { length: 1, values: 0 };
  if (first < 0xca) return lengthAt(view, at, sized[first - 0xc4] ?? [0, 0]);
  if (first < 0xd9) return { length: 1 + (fixed[first - 0xca] ?? 0), values: 0 };
  if (first < 0xdc) return lengthAt(view, at, [2 ** (first - 0xd9), 0]);
  const wide = (first & 1) === 1;
  const size = wide ? 4 : 2;
  if (at + 1 + size > view.byteLength) return more;
  const count = wide ? view.getUint32(at + 1) : view.getUint16(at + 1);
  return { length: 1 + size, values: first < 0xde ? count : 2 * count };
}

function lengthAt(view: DataView, at: number, [size, between]: readonly [number, number]): Head | 'more' {
  if (at + 1 + size > view.byteLength) return more;
  const length = size === 1 ? view.getUint8(at + 1) : size === 2 ? view.getUint16(at + 1) : view.getUint32(at + 1);
  return { length: 1 + size + between + length, values: 0 };
}

/** Where the value that starts at a place ends; undefined: there is no whole one. */
export function endOfValue(bytes: Uint8Array, at: number): number | undefined {
  const end = new ValueScanner(at).scan(bytes);
  return typeof end === 'number' ? end : undefined;
}

/**
 * Where the values of an array of at most 15 stand, the end of the last one too; undefined: the bytes are no such
 * array.
 */
export function placesIn(bytes: Uint8Array): number[] | undefined {
  const count = (bytes[0] ?? 0) - 0x90;
  if (count < 0 || count > 15) return undefined;
  const places = [1];
  for (let left = count; left > 0; left -= 1) {
    const end = endOfValue(bytes, places.at(-1) ?? 0);
    if (end === undefined) return undefined;
    places.push(end);
  }
  return places;
}

/** What is in a value that has a length: the bytes of a text (or `bin`), or the values of an array. */
export interface Body {
  readonly kind: 'text' | 'array';
  readonly bytes: Uint8Array;
}

/** `bin 8` to `bin 32`, `str 8` to `str 32`, `array 16`, `array 32`: bytes of the length. */
const lengthSizes: ReadonlyMap<number, number> = new Map([
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
  [0xdc, 2],
  [0xdd, 4],
]);

/** What is in a whole text, or in a whole array; undefined: the value is neither. */
export function bodyOf(value: Uint8Array): Body | undefined {
  const first = value[0] ?? 0;
  const isShort = first >= 0x90 && first < 0xc0;
  const size = isShort ? 0 : lengthSizes.get(first);
  if (size === undefined) return undefined;
  const kind = first < 0xa0 || first >= 0xdc ? 'array' : 'text';
  return { kind, bytes: value.subarray(1 + size) };
}
