import { Buffer } from 'node:buffer';
import type { StoredBlock } from '../block.ts';
import { placeOf } from '../spool/mark.ts';
import type { Position } from '../spool/reader.ts';
import { contextKey } from './context.ts';
import { type Joined, type Joiner, type Piece, pieceLength } from './joiner.ts';
import type { Line } from './line.ts';
import type { Message, Part } from './message.ts';
import { contentOf, type Text } from './texts.ts';

/** Characters of what pieces are told apart by; with a longer header a line is never one. */
const longestKey = 2048;

/** Lines that a block ends before its own first. */
export function endedBy(block: StoredBlock, joiner: Joiner<Line>): Joined<Line>[] {
  if (block.kind !== 'mark') return joiner.blockOf(block.source.connection, block.arrivedAt);
  const place = placeOf(block);
  return place === undefined ? [] : joiner.markAt(place);
}

/** Whether a line can be a piece of a longer one: it is long enough, or one waits for its rest. */
export function mayBePiece({ frame }: Text, joiner: Joiner<Line>): boolean {
  return !joiner.empty || frame.end - frame.start >= pieceLength;
}

/** A line as a piece of a longer one, by its length, or because one waits for its rest. Undefined: it is neither. */
export function pieceOf(line: Line, message: number, at: Position, joiner: Joiner<Line>): Piece<Line> | undefined {
  const { batch, text, context } = line;
  const { frame } = text;
  const { block } = batch;
  const { around } = context.line;
  if (around === undefined) return undefined;
  const key = contextKey(block.source, around);
  if (key.length > longestKey) return undefined;
  const header = Buffer.byteLength(text.source.slice(text.start, text.start + message));
  const bytes = contentOf(block, frame).subarray(header);
  return pieceWith({ key, bytes, more: bytes.length === pieceLength }, line, at, joiner);
}

/** A message as a part of a longer line. Undefined: it is none. */
export function partOf(line: Line, { part }: Message, at: Position, joiner: Joiner<Line>): Piece<Line> | undefined {
  if (part === undefined || (joiner.empty && !part.more) || part.key.length > longestKey) return undefined;
  return pieceWith({ ...part, key: `${line.batch.block.source.connection}\0${part.key}` }, line, at, joiner);
}

function pieceWith(part: Part, line: Line, at: Position, joiner: Joiner<Line>): Piece<Line> | undefined {
  if (!part.more && !joiner.waitsFor(part.key)) return undefined;
  const { source, arrivedAt } = line.batch.block;
  return { ...part, connection: source.connection, at, arrivedAt, first: withoutBytes(line) };
}

/** What is kept of a line that waits: its block's bytes and texts are not. */
function withoutBytes({ batch, text, context, own, written }: Line): Line {
  const block = { ...batch.block, payload: new Uint8Array() };
  return {
    batch: { ...batch, block },
    text: { ...text, source: '', start: 0, end: 0 },
    context,
    own: { ...own, message: '' },
    written,
  };
}
