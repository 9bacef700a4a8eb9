import { Buffer } from 'node:buffer';
import type { StoredBlock } from '../block.ts';
import { placeOf } from '../spool/mark.ts';
import type { Position } from '../spool/reader.ts';
import { contextKey } from './context.ts';
import { type Joined, type Joiner, type Piece, pieceLength } from './joiner.ts';
import type { Line } from './line.ts';
import { contentOf } from './texts.ts';

/** Characters of what pieces are told apart by; with a longer header a line is never one. */
const longestKey = 2048;

/** Lines that a block ends before its own first. */
export function endedBy(block: StoredBlock, joiner: Joiner<Line>): Joined<Line>[] {
  if (block.kind !== 'mark') return joiner.blockOf(block.source.connection, block.arrivedAt);
  const place = placeOf(block);
  return place === undefined ? [] : joiner.markAt(place);
}

/** A line as a piece of a longer one, by its length, or because one waits for its rest. Undefined: it is neither. */
export function pieceOf(line: Line, message: number, at: Position, joiner: Joiner<Line>): Piece<Line> | undefined {
  const { batch, text, context } = line;
  const { frame } = text;
  const { block } = batch;
  const { around } = context.line;
  if (around === undefined || (joiner.empty && frame.end - frame.start < pieceLength)) return undefined;
  const key = contextKey(block.source, around);
  if (key.length > longestKey) return undefined;
  const header = Buffer.byteLength(text.text.slice(0, message));
  const bytes = contentOf(block, frame).subarray(header);
  if (bytes.length !== pieceLength && !joiner.waitsFor(key)) return undefined;
  return { key, connection: block.source.connection, bytes, at, arrivedAt: block.arrivedAt, first: withoutBytes(line) };
}

/** What is kept of a line that waits: its block's bytes and texts are not. */
function withoutBytes({ batch, text, context, own }: Line): Line {
  const block = { ...batch.block, payload: new Uint8Array() };
  return { batch: { ...batch, block }, text: { ...text, text: '' }, context, own: { ...own, message: '' } };
}
