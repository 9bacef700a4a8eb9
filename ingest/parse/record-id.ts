import type { SegmentIdentity } from '../block.ts';
import type { ByteWriter } from '../byte-writer.ts';

/**
 * `_id` is 40 characters of `[0-9A-Za-z_-]`: the segment's base in µs (11 digits to base 36), its id (22, base64url), and
 * the frame's offset in it (7 digits to base 36). So it sorts in time order, and a retry yields it again.
 */
export function segmentPrefix({ id, base }: SegmentIdentity): string {
  return base.toString(36).padStart(11, '0') + Buffer.from(id, 'hex').toString('base64url');
}

/** The id of the record whose frame starts there in the segment's file. */
export function recordId(prefix: string, offset: number): string {
  return prefix + offset.toString(36).padStart(7, '0');
}

/** Writes the part of it that is not the prefix. Needs room for 7 bytes. */
export function writeOffset(writer: ByteWriter, offset: number): void {
  writer.digits36(offset, 7);
}
