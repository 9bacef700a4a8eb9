import { Buffer } from 'node:buffer';
import type { Chunk } from './byte-writer.ts';
import type { Position } from './spool/reader.ts';

/** A document as a sink stores it. */
export interface SinkDocument {
  /** `_id`. */
  readonly id: string;
  /** The ECS document as JSON text, without line breaks. */
  readonly json: string;
}

const LF = 0x0a;

/** Begins the lines of a document; then come its id, as it stands between quotes in JSON, `endId`, its JSON, and an LF. */
export const beginDocument = '{"create":{"_id":"';
export const endId = '"}}\n';

const noneBegan: ReadonlyMap<number, Position> = new Map();

/**
 * Documents on their way to the sink, in order: what one request holds, or a part of that. They are kept as the bytes of
 * Elasticsearch's bulk API, a few pieces for thousands of them, since each object that lives until it is delivered costs the
 * garbage collector. Of each document there are two lines: `{"create":{"_id":"ID"}}`, and its JSON.
 */
export class Bulk implements Iterable<SinkDocument> {
  /** Whole documents each. */
  readonly pieces: readonly Buffer[];
  readonly records: number;
  /** Bytes. */
  readonly size: number;
  /** When the oldest arrived, in µs since 1970; `Infinity`: there is none. */
  readonly oldest: number;
  /** Where the block starts in which a record began, by its index; absent: it is the one in which it ended. */
  readonly began: ReadonlyMap<number, Position>;
  /** What the pieces lie in, as far as it is to be freed, and is held for this. */
  readonly #chunks: readonly Chunk[];

  constructor(
    pieces: readonly Buffer[],
    records: number,
    oldest: number,
    began = noneBegan,
    chunks: readonly Chunk[] = [],
  ) {
    this.pieces = pieces;
    this.records = records;
    this.size = pieces.reduce((sum, { length }) => sum + length, 0);
    this.oldest = oldest;
    this.began = began;
    this.#chunks = chunks;
  }

  /** Documents of which none arrived before a moment, in µs since 1970. */
  static of(documents: Iterable<SinkDocument>, oldest: number): Bulk {
    let [text, records] = ['', 0];
    for (const { id, json } of documents) {
      text += `{"create":{"_id":${JSON.stringify(id)}}}\n${json}\n`;
      records += 1;
    }
    return new Bulk([Buffer.from(text)], records, oldest);
  }

  /** All documents of some bulks, which are not to be freed any more. */
  static join(bulks: readonly Bulk[]): Bulk {
    const [only] = bulks;
    if (only !== undefined && bulks.length === 1) return only;
    const pieces: Buffer[] = [];
    const began = new Map<number, Position>();
    let [records, oldest] = [0, Infinity];
    for (const bulk of bulks) {
      for (const [index, position] of bulk.began) began.set(records + index, position);
      records += bulk.records;
      oldest = Math.min(oldest, bulk.oldest);
      for (const piece of bulk.pieces) addPiece(pieces, piece);
    }
    return new Bulk(
      pieces,
      records,
      oldest,
      began,
      bulks.flatMap((bulk) => bulk.#chunks),
    );
  }

  /** Whether it follows another in memory, so that both can be sent as they lie there. */
  isBehind(other: Bulk): boolean {
    return this.pieces[0]?.buffer === other.pieces.at(-1)?.buffer;
  }

  /** Nobody reads it any more. Without this the garbage collector finds that out. */
  free(): void {
    for (const chunk of this.#chunks) chunk.release();
  }

  /** Someone may read it after it was freed: then it is left to the garbage collector. */
  keep(): void {
    for (const chunk of this.#chunks) chunk.hold();
  }

  /** The documents with these indices, which ascend. They are freed with all others. */
  pick(indices: readonly number[]): Bulk {
    const pieces: Buffer[] = [];
    const began = new Map<number, Position>();
    let [next, index] = [0, 0];
    for (const lines of this.#lines()) {
      if (indices[next] === index) {
        const position = this.began.get(index);
        if (position !== undefined) began.set(next, position);
        addPiece(pieces, lines);
        next += 1;
      }
      index += 1;
    }
    return new Bulk(pieces, next, this.oldest, began, this.#chunks);
  }

  *[Symbol.iterator](): Generator<SinkDocument, void, undefined> {
    for (const lines of this.#lines()) {
      const end = lines.indexOf(LF);
      const id = lines.toString('utf8', beginDocument.length, end + 1 - endId.length);
      const json = lines.toString('utf8', end + 1, lines.length - 1);
      yield { id: id.includes('\\') ? JSON.parse(`"${id}"`) : id, json };
    }
  }

  /** Both lines of each document. */
  *#lines(): Generator<Buffer, void, undefined> {
    for (const piece of this.pieces) {
      for (let at = 0; at < piece.length;) {
        const end = piece.indexOf(LF, piece.indexOf(LF, at) + 1) + 1;
        yield piece.subarray(at, end);
        at = end;
      }
    }
  }
}

/** Adds a piece; what follows the last one in memory becomes one with it. */
function addPiece(pieces: Buffer[], piece: Buffer): void {
  if (piece.length === 0) return;
  const last = pieces.at(-1);
  if (last?.buffer !== piece.buffer || last.byteOffset + last.length !== piece.byteOffset) pieces.push(piece);
  else pieces[pieces.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + piece.length);
}
