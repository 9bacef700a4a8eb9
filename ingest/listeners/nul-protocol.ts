import type { BlockKind } from '../block.ts';
import { joinDatagrams } from '../parse/frames.ts';
import type { Piece } from './framing.ts';
import type { Protocol, Taken } from './message-connection.ts';
import { Rest } from './rest.ts';

const NUL = 0;
const empty = new Uint8Array(0);

/**
 * Messages that end with NUL. One of over `maxFrame` bytes is cut at each `maxFrame`th, whatever the chunks that it
 * came in.
 */
export class NulProtocol implements Protocol {
  readonly #kind: BlockKind;
  readonly #maxFrame: number;
  readonly #rest = new Rest();
  /** The frame that the rest belongs to was cut before. */
  #continued = false;

  constructor(kind: BlockKind, maxFrame: number) {
    this.#kind = kind;
    this.#maxFrame = maxFrame;
  }

  get held(): number {
    return this.#rest.capacity;
  }

  push(chunk: Uint8Array): Taken {
    const before = this.#rest.length;
    this.#rest.add(chunk);
    const { bytes } = this.#rest;
    const pieces: Piece[] = [];
    let frames: Uint8Array[] = [];
    let [start, from] = [0, before];
    for (;;) {
      const found = bytes.indexOf(NUL, from);
      const end = found < 0 ? bytes.length : found;
      if (end - start > this.#maxFrame) {
        this.#add(frames, pieces);
        frames = [];
        this.#add([bytes.subarray(start, start + this.#maxFrame)], pieces, { cut: true });
        start += this.#maxFrame;
        from = start;
        continue;
      }
      if (found < 0) break;
      if (this.#continued) this.#add([bytes.subarray(start, end)], pieces);
      else if (end > start) frames.push(bytes.subarray(start, end));
      start = end + 1;
      from = start;
    }
    this.#add(frames, pieces);
    if (start > 0) this.#rest.set(bytes.subarray(start));
    return { pieces };
  }

  end(): Taken {
    const pieces: Piece[] = [];
    if (this.#rest.length > 0 || this.#continued) this.#add([this.#rest.bytes], pieces, { unterminated: true });
    this.#rest.set(empty);
    return { pieces };
  }

  #add(frames: readonly Uint8Array[], pieces: Piece[], flags: Piece['flags'] = {}): void {
    if (frames.length === 0) return;
    const all = { ...flags, ...(this.#continued && { continued: true }) };
    pieces.push({ kind: this.#kind, flags: all, payload: joinDatagrams(frames) });
    this.#continued = flags.cut === true;
  }
}
