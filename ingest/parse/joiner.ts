import { Buffer } from 'node:buffer';
import type { Unfinished } from '../spool/checkpoint.ts';
import { isBefore, type Position } from '../spool/reader.ts';

/** Bytes of the pieces that Docker cuts long lines into, without a mark (moby, daemon/logger/copier.go). */
export const pieceLength = 16_384;

/** A line of so many bytes is whole, whatever comes next. */
const longestLine = 1024 * 1024;

/**
 * A piece counts as so many bytes at least: else a line of pieces without content would never be whole, and the spool
 * could not be emptied behind its first one.
 */
const leastPiece = 4096;

/** When a sender has said something later than this after a piece, in µs, the piece has no rest. */
const patience = 2_000_000;

/** Lines that wait, and bytes of their pieces; beyond either the one that has waited longest is whole. */
const mostLines = 512;
const mostHeld = 32 * 1024 * 1024;

/** A line that was put together: what was noted of its first piece, and the bytes of all. */
export interface Joined<T> {
  readonly first: T;
  /** Where the block of its first piece starts. */
  readonly since: Position;
  readonly bytes: Buffer;
  /** It was cut here because it is too long. */
  readonly cut: boolean;
}

/** A piece, where it stands, and how it is told from those of other lines. */
export interface Piece<T> {
  /** The same for all pieces of a line. */
  readonly key: string;
  readonly connection: string;
  readonly bytes: Buffer;
  /** Whether the rest of the line follows: Docker's drivers say so, or its length does. */
  readonly more: boolean;
  /** Where its block starts. */
  readonly at: Position;
  /** µs since 1970. */
  readonly arrivedAt: number;
  readonly first: T;
}

/** A line whose rest has not come. */
interface Held<T> {
  /** Absent: the line is delivered, and its rest is only stepped over. */
  readonly line?: { readonly first: T; readonly pieces: Buffer[] };
  readonly connection: string;
  readonly since: Position;
  /** What its pieces count as, in bytes. */
  size: number;
  last: Position;
  arrivedAt: number;
}

/**
 * Puts lines together that came in pieces. A line ends with a piece that says so, or else on evidence in the spool:
 * a later block of its connection, a mark, the end of the spool, too much at once. So which lines there are is a function
 * of the spool's bytes, from wherever they are read, if it is known which lines were not finished there.
 */
export class Joiner<T> {
  /** In the order of their first pieces. */
  readonly #held: Map<string, Held<T>>;
  #size: number;

  /** Begins at a place where these lines were not finished, and are delivered. */
  constructor(unfinished: readonly Unfinished[]) {
    this.#held = new Map(unfinished.map(({ key, ...held }) => [key, held]));
    this.#size = unfinished.reduce((sum, { size }) => sum + size, 0);
  }

  get empty(): boolean {
    return this.#held.size === 0;
  }

  /** Lines that wait for their rest, and what their pieces count as, in bytes. */
  get held(): { readonly lines: number; readonly bytes: number } {
    return { lines: this.#held.size, bytes: this.#size };
  }

  /** From where on blocks must be read again to find all that is held; undefined: nothing is. */
  get since(): Position | undefined {
    return this.#held.values().find(({ line }) => line !== undefined)?.since;
  }

  /** Lines that are not finished here. */
  get unfinished(): Unfinished[] {
    return Array.from(this.#held, ([key, { connection, since, size, last, arrivedAt }]) => ({
      key,
      connection,
      since,
      size,
      last,
      arrivedAt,
    }));
  }

  /** Whether something is held whose last piece lies before a place. */
  waitsBefore(place: Position): boolean {
    return this.#held.values().some(({ last }) => isBefore(last, place));
  }

  /** Takes what may be a piece: it is held, or ends the line that it belongs to. Answers lines that are whole now. */
  push(piece: Piece<T>): Joined<T>[] {
    const { key, connection, bytes, more, at, arrivedAt, first } = piece;
    const held = this.#held.get(key) ?? {
      line: { first, pieces: [] },
      connection,
      since: at,
      size: 0,
      last: at,
      arrivedAt,
    };
    this.#held.set(key, held);
    // A view would keep the whole block in memory.
    held.line?.pieces.push(Buffer.from(bytes));
    const size = Math.max(bytes.length, leastPiece);
    held.size += size;
    held.last = at;
    held.arrivedAt = arrivedAt;
    this.#size += size;
    const cut = held.size >= longestLine;
    if (!more || cut) return this.#take([[key, held]], cut);
    const whole: Joined<T>[] = [];
    for (const oldest of this.#held) {
      if (this.#size <= mostHeld && this.#held.size <= mostLines) break;
      whole.push(...this.#take([oldest]));
    }
    return whole;
  }

  /** Whether a line with this key waits for its rest. */
  waitsFor(key: string): boolean {
    return this.#held.has(key);
  }

  /** A block of a connection comes next, which arrived then: lines that ends. */
  blockOf(connection: string, arrivedAt: number): Joined<T>[] {
    return this.#end((held) => held.connection === connection && arrivedAt - held.arrivedAt > patience);
  }

  /** A mark: no piece before the place has a rest. */
  markAt(place: Position): Joined<T>[] {
    return this.#end(({ last }) => isBefore(last, place));
  }

  /** Nothing more will come. */
  end(): Joined<T>[] {
    return this.#end(() => true);
  }

  #end(ends: (held: Held<T>) => boolean): Joined<T>[] {
    return this.#take([...this.#held].filter(([, held]) => ends(held)));
  }

  #take(taken: readonly [key: string, held: Held<T>][], cut = false): Joined<T>[] {
    return taken.flatMap(([key, { line, since, size }]) => {
      this.#held.delete(key);
      this.#size -= size;
      return line === undefined ? [] : [{ first: line.first, since, bytes: Buffer.concat(line.pieces), cut }];
    });
  }
}
