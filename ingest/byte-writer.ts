import { Buffer } from 'node:buffer';
import { freeMemory } from './memory.ts';

/** Bytes of a chunk, unless what is taken at once is larger. */
const chunkSize = 8 * 1024 * 1024;

/** Chunks of that size that are kept to be used again, and for how long, in ms: what is new has to be cleared by the kernel. */
const [mostSpare, patience] = [2, 5000];
const spare: Buffer[] = [];
let forget: NodeJS.Timeout | undefined;

/** Memory that is used again, or freed, when the last one has let go of it. */
export class Chunk {
  readonly bytes: Buffer;
  #users = 1;

  constructor(length: number) {
    this.bytes = (length === chunkSize ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(length);
  }

  hold(): void {
    this.#users += 1;
  }

  /** Nobody may read it, who did not hold it. */
  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    if (this.bytes.length !== chunkSize || spare.length >= mostSpare) {
      freeMemory(this.bytes);
      return;
    }
    spare.push(this.bytes);
    forget ??= setTimeout(freeSpare, patience).unref();
    forget.refresh();
  }
}

function freeSpare(): void {
  forget = undefined;
  for (const bytes of spare.splice(0)) freeMemory(bytes);
}

const ZERO = 0x30;

/** What JSON has in the place of a byte (RFC 8259 section 7), by the byte; absent: the byte itself. */
const escapes: readonly (Buffer | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const text = JSON.stringify(String.fromCharCode(byte)).slice(1, -1);
  return text.length === 1 ? undefined : Buffer.from(text);
});
const longestEscape = 6;
const isEscaped = Uint8Array.from(escapes, (escape) => (escape === undefined ? 0 : 1));

const base36 = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz');

/**
 * Writes bytes one behind the other into large chunks: what would be many small texts is never made. What was written and
 * not taken is always of one piece. Each method but `reserve` needs room that was reserved, or reserves it where it says so.
 */
export class ByteWriter {
  #chunk = new Chunk(0);
  #bytes = this.#chunk.bytes;
  #start = 0;
  #at = 0;

  /** Bytes that were not taken. */
  get length(): number {
    return this.#at - this.#start;
  }

  /** Makes room for so many bytes. Then what was not taken may be in another chunk. */
  reserve(length: number): void {
    if (this.#at + length > this.#bytes.length) this.#grow(length);
  }

  #grow(length: number): void {
    const before = this.#chunk;
    const kept = this.#bytes.subarray(this.#start, this.#at);
    this.#chunk = new Chunk(Math.max(chunkSize, 2 * kept.length + length));
    this.#bytes = this.#chunk.bytes;
    this.#bytes.set(kept);
    this.#start = 0;
    this.#at = kept.length;
    before.release();
  }

  /** What was written since the last time, and the chunk in which it is, which is held for the caller. */
  take(): { readonly bytes: Buffer; readonly chunk: Chunk } {
    const bytes = this.#bytes.subarray(this.#start, this.#at);
    this.#start = this.#at;
    this.#chunk.hold();
    return { bytes, chunk: this.#chunk };
  }

  /** Bytes; reserves. */
  copy(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes(bytes);
  }

  bytes(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** A text in UTF-8; reserves. */
  text(text: string): void {
    this.reserve(text.length * 3);
    this.#at += this.#bytes.write(text, this.#at);
  }

  /** A text as JSON, with its quotes; reserves. */
  json(text: string): void {
    this.text(JSON.stringify(text));
  }

  /** UTF-8 as it stands within quotes in JSON; reserves. Meant for what is short: it goes byte by byte. */
  escaped(from: Uint8Array, start: number, end: number): void {
    this.reserve((end - start) * longestEscape);
    const to = this.#bytes;
    let at = this.#at;
    for (let index = start; index < end; index += 1) {
      const byte = from[index] ?? 0;
      if (isEscaped[byte] === 0) {
        to[at] = byte;
        at += 1;
        continue;
      }
      const escape = escapes[byte];
      if (escape === undefined) continue;
      to.set(escape, at);
      at += escape.length;
    }
    this.#at = at;
  }

  /** Of an integer that is not negative the last digits to base 36. */
  digits36(value: number, digits: number): void {
    let rest = value;
    for (let at = this.#at + digits - 1; at >= this.#at; at -= 1) {
      const next = Math.floor(rest / 36);
      this.#bytes[at] = base36[rest - next * 36] ?? ZERO;
      rest = next;
    }
    this.#at += digits;
  }

  /** Of an integer that is not negative the last decimal digits. */
  digits(value: number, digits: number): void {
    let rest = value;
    for (let at = this.#at + digits - 1; at >= this.#at; at -= 1) {
      const next = Math.floor(rest / 10);
      this.#bytes[at] = ZERO + (rest - next * 10);
      rest = next;
    }
    this.#at += digits;
  }

  /** An integer that is not negative, of 16 digits at most; reserves. */
  integer(value: number): void {
    this.reserve(16);
    const upper = Math.floor(value / 1e8);
    if (upper < 1e7) {
      this.text(String(value));
      return;
    }
    // Small integers are divided faster.
    this.digits(upper, 8);
    this.digits(value - upper * 1e8, 8);
  }
}
