import type { Block, Source } from '../block.ts';
import type { Position } from './reader.ts';

/** Who writes marks. */
const source: Source = { listener: 'spool', connection: '0'.repeat(32) };

/** A block that says: lines whose pieces lie before this place of the same directory are whole. */
export function markAt({ segment, offset }: Position): Block {
  return {
    kind: 'mark',
    source,
    arrivedAt: Date.now() * 1000,
    flags: {},
    payload: Buffer.from(`${segment} ${offset}`),
  };
}

/** The place that a mark names; undefined: it names none. */
export function placeOf({ payload }: Pick<Block, 'payload'>): Position | undefined {
  const [, segment, offset] = /^(\d{1,10}) (\d{1,15})$/.exec(Buffer.from(payload).toString('latin1')) ?? [];
  return segment === undefined ? undefined : { segment: Number(segment), offset: Number(offset) };
}
