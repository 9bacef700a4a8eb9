import { isUtf8 } from 'node:buffer';
import { setImmediate as breathe } from 'node:timers/promises';
import { HttpError } from '../http/errors.ts';

/** Bounds of one record. */
const deepest = 32;
const mostKeys = 1000;

/** How many bytes are judged before other requests get their turn. */
const turn = 256 * 1024;

/** How records follow each other: an object or an array of objects; an object a line; or one behind the other. */
export type RecordFormat = 'json' | 'ndjson' | 'concatenated';

/** Says what else is wrong with a record. `place`: which one it is. @throws {HttpError} */
export type Judge = (record: object, place: string) => void;

/** Records, each as its JSON text on one line, ended by LF. */
export interface Records {
  readonly count: number;
  readonly lines: Uint8Array;
}

const [LF, TAB, CR, SPACE, QUOTE, BACKSLASH, COMMA, COLON] = [0x0a, 0x09, 0x0d, 0x20, 0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];

/**
 * Reads the records of a request's body. They stay as they were sent, but for white space between tokens.
 * @throws {HttpError} 400, which names the line or the place in the array where something is wrong.
 */
export async function readRecords(
  body: Uint8Array,
  format: RecordFormat,
  judge: Judge = () => undefined,
): Promise<Records> {
  if (!isUtf8(body)) throw invalid('the body is not UTF-8');
  const reader = new RecordReader(body, format, judge);
  if (format === 'concatenated') return reader.readConcatenated();
  return format === 'json' ? reader.readJson() : reader.readLines();
}

function invalid(message: string): HttpError {
  return new HttpError(400, 'RECORD_INVALID', message);
}

class RecordReader {
  readonly #body: Buffer;
  readonly #lines: Buffer;
  readonly #judge: Judge;
  #written = 0;
  #count = 0;
  #at = 0;
  #breathedAt = 0;

  constructor(body: Uint8Array, format: RecordFormat, judge: Judge) {
    this.#judge = judge;
    this.#body = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    // Without white space a record is never longer; only the last one may lack the byte that its LF takes. Where
    // nothing stands between them each may, and the shortest has 2.
    const gaps = format === 'concatenated' ? Math.floor(body.byteLength / 2) : 0;
    this.#lines = Buffer.allocUnsafe(body.byteLength + gaps + 1);
  }

  async readJson(): Promise<Records> {
    this.#skipSpace();
    if (this.#byte !== OPEN_BRACKET) {
      await this.#record('the body');
      this.#end('after the object; several records are an array, or NDJSON (application/x-ndjson)');
      return this.#result();
    }
    this.#at += 1;
    this.#skipSpace();
    if (this.#byte !== CLOSE_BRACKET) {
      for (let index = 0; ; index += 1) {
        await this.#record(`record ${index} of the array`);
        this.#skipSpace();
        if (this.#byte === CLOSE_BRACKET) break;
        if (this.#byte !== COMMA) throw invalid(`after record ${index} of the array a comma or ] is missing`);
        this.#at += 1;
        this.#skipSpace();
      }
    }
    this.#at += 1;
    this.#end('after the array');
    return this.#result();
  }

  async readConcatenated(): Promise<Records> {
    this.#skipSpace();
    while (this.#at < this.#body.length) {
      await this.#record(`record ${this.#count}`);
      this.#skipSpace();
    }
    return this.#result();
  }

  async readLines(): Promise<Records> {
    for (let line = 1; this.#at < this.#body.length; line += 1) {
      const next = this.#body.indexOf(LF, this.#at);
      const end = next < 0 ? this.#body.length : next;
      this.#skipSpace(end);
      if (this.#at < end) {
        await this.#record(`line ${line}`, end);
        this.#skipSpace(end);
        if (this.#at < end) throw invalid(`line ${line}: more follows the object`);
      }
      this.#at = end + 1;
    }
    return this.#result();
  }

  get #byte(): number | undefined {
    return this.#body[this.#at];
  }

  #result(): Records {
    return { count: this.#count, lines: this.#lines.subarray(0, this.#written) };
  }

  #end(place: string): void {
    this.#skipSpace();
    if (this.#at < this.#body.length) throw invalid(`something follows ${place}`);
  }

  #skipSpace(end = this.#body.length): void {
    while (this.#at < end && isSpace(this.#byte)) this.#at += 1;
  }

  /** Takes the object that starts here. It was not validated before `JSON.parse` has seen it as it came. */
  async #record(place: string, end = this.#body.length): Promise<void> {
    if (this.#byte !== OPEN_BRACE) throw invalid(`${place} is not a JSON object`);
    const start = this.#at;
    const lineStart = this.#written;
    this.#copyObject(place, end);
    const text = this.#body.toString('utf8', start, this.#at);
    this.#judge(parse(text, place), place);
    if (this.#written === lineStart) throw new Error('a record without bytes');
    this.#lines[this.#written] = LF;
    this.#written += 1;
    this.#count += 1;
    if (this.#at - this.#breathedAt < turn) return;
    this.#breathedAt = this.#at;
    await breathe();
  }

  /** Copies up to the brace that closes the object, without white space between tokens. */
  #copyObject(place: string, end: number): void {
    const [body, lines] = [this.#body, this.#lines];
    let [depth, keys, written, at] = [0, 0, this.#written, this.#at];
    do {
      if (at >= end) throw invalid(`${place} is not JSON: the object is never closed`);
      const byte = body[at] ?? 0;
      at += 1;
      if (isSpace(byte)) continue;
      lines[written] = byte;
      written += 1;
      if (byte === QUOTE) {
        const close = endOfString(body, at, end);
        if (close < 0) throw invalid(`${place} is not JSON: a string is never closed`);
        written += body.copy(lines, written, at, close);
        at = close;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        depth += 1;
        if (depth > deepest) throw invalid(`${place} nests deeper than ${deepest} levels`);
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        depth -= 1;
      } else if (byte === COLON) {
        keys += 1;
        if (keys > mostKeys) throw invalid(`${place} has more than ${mostKeys} keys`);
      }
    } while (depth > 0);
    this.#written = written;
    this.#at = at;
  }
}

function parse(text: string, place: string): object {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(`${place} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Where a string ends: after the quote that no backslash precedes; -1 if it does not. */
function endOfString(body: Buffer, start: number, end: number): number {
  for (let at = start; at < end; at += 1) {
    if (body[at] === QUOTE) return at + 1;
    if (body[at] === BACKSLASH) at += 1;
  }
  return -1;
}

/** White space of JSON (RFC 8259 section 2). */
function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === LF || byte === CR || byte === TAB;
}
