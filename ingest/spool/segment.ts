/**
 * A segment is a file of blocks, `NNNNNNNN.segment`, numbered from 1 within its directory. All integers are little-endian.
 *
 * Constraints: it is only ever appended to; a reader may follow the writer; what a power cut left of the last write
 * must be told from whole blocks; a reader that meets damage must find the next whole block; and nothing that a sender
 * puts into a payload may pass for a block. So every check sum of a block starts from the segment's id, which is random
 * and known to no sender.
 *
 * Header, 64 bytes:
 *
 *      0  8  "SHIPLOG1"
 *      8 16  id, random
 *     24  8  base, µs since 1970: what a frame's offset is added to for its `event.sequence`
 *     32 16  id of the predecessor, or zeros
 *     48  8  how many bytes of the predecessor are valid
 *     56  4  number of the predecessor, or 0
 *     60  4  CRC-32 of the 60 bytes before; by it one bit that flipped is found
 *
 * The predecessor is the last segment that had something committed. What lies in it beyond its valid length was never
 * committed, and was written again here; and so was all that lies in segments numbered between the two.
 *
 * Block, 32 bytes and its body:
 *
 *      0  4  "BLK1"
 *      4  1  kind: 1 lf-stream, 2 octet-stream, 3 datagrams, 4 json-records, 5 mark, 6 forward, 7 gelf
 *      5  1  flags: 1 unterminated, 2 cut, 4 continued
 *      6  2  length of the source
 *      8  4  length of the payload
 *     12  2  length of the idempotency key (0 so far)
 *     14  2  zeros
 *     16  8  arrival, µs since 1970
 *     24  4  CRC-32 of the body
 *     28  4  CRC-32 of the 28 bytes before
 *
 *     source (JSON), idempotency key, payload
 *
 * Write: header and blocks with one `writev`, then `fdatasync`; of a new file also a sync of the directory.
 * Read: from a block's start to the next one's, up to the valid length. Delete: whole files, once all is delivered.
 */
import { crc32 } from 'node:zlib';
import type { Block, BlockFlags, BlockKind, Source } from '../block.ts';

export const headerLength = 64;
export const blockHeaderLength = 32;
const magic = Buffer.from('SHIPLOG1');
export const blockMagic = Buffer.from('BLK1');
const kinds: readonly BlockKind[] = [
  'lf-stream',
  'octet-stream',
  'datagrams',
  'json-records',
  'mark',
  'forward',
  'gelf',
];
const noId = '0'.repeat(32);

/** The segment that came before, as far as it is valid. */
export interface Predecessor {
  readonly number: number;
  readonly id: string;
  /** Bytes. */
  readonly length: number;
}

/** What stands in a segment's header. */
export interface SegmentHeader {
  /** 16 bytes as hex. */
  readonly id: string;
  /** µs since 1970. */
  readonly base: number;
  readonly predecessor?: Predecessor;
}

export function segmentName(number: number): string {
  return `${String(number).padStart(8, '0')}.segment`;
}

/** The number in a segment's name; undefined: it is another file. */
export function segmentNumber(name: string): number | undefined {
  const digits = /^(\d{8})\.segment$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export function encodeHeader({ id, base, predecessor }: SegmentHeader): Buffer {
  const header = Buffer.alloc(headerLength);
  magic.copy(header);
  header.write(id, 8, 'hex');
  header.writeBigUInt64LE(BigInt(base), 24);
  header.write(predecessor?.id ?? noId, 32, 'hex');
  header.writeBigUInt64LE(BigInt(predecessor?.length ?? 0), 48);
  header.writeUInt32LE(predecessor?.number ?? 0, 56);
  header.writeUInt32LE(crc32(header.subarray(0, 60)), 60);
  return header;
}

/** Reads a header; undefined: it is none, or is damaged. */
export function decodeHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < headerLength || !bytes.subarray(0, 8).equals(magic)) return undefined;
  if (crc32(bytes.subarray(0, 60)) !== bytes.readUInt32LE(60)) return undefined;
  const own = { id: bytes.toString('hex', 8, 24), base: Number(bytes.readBigUInt64LE(24)) };
  const number = bytes.readUInt32LE(56);
  if (number === 0) return own;
  const predecessor = { number, id: bytes.toString('hex', 32, 48), length: Number(bytes.readBigUInt64LE(48)) };
  return { ...own, predecessor };
}

/** Reads a header in which one bit may have flipped, which its check sum tells; undefined: more is damaged. */
export function recoverHeader(bytes: Buffer): SegmentHeader | undefined {
  const header = decodeHeader(bytes);
  if (header !== undefined) return header;
  for (let bit = 0; bit < 8 * headerLength; bit += 1) {
    const mended = Buffer.from(bytes.subarray(0, headerLength));
    mended[bit >> 3] = (mended[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const found = decodeHeader(mended);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What the check sums of a segment's blocks start from. */
export function checksumSeed(id: string): number {
  return crc32(Buffer.from(id, 'hex'));
}

/** A block, laid out for a segment with this seed. `source` is `encodeSource` of the block's source. */
export function encodeBlock(block: Block, source: Buffer, seed: number): [head: Buffer, payload: Uint8Array] {
  const head = Buffer.alloc(blockHeaderLength + source.length);
  blockMagic.copy(head);
  head[4] = kinds.indexOf(block.kind) + 1;
  const { unterminated, cut, continued } = block.flags;
  head[5] = (unterminated === true ? 1 : 0) | (cut === true ? 2 : 0) | (continued === true ? 4 : 0);
  head.writeUInt16LE(source.length, 6);
  head.writeUInt32LE(block.payload.length, 8);
  head.writeBigUInt64LE(BigInt(block.arrivedAt), 16);
  head.writeUInt32LE(crc32(block.payload, crc32(source, seed)), 24);
  head.writeUInt32LE(crc32(head.subarray(0, 28), seed), 28);
  source.copy(head, blockHeaderLength);
  return [head, block.payload];
}

/** A source as it stands in blocks. */
export function encodeSource(source: Source): Buffer {
  return Buffer.from(JSON.stringify(source));
}

/** The lengths and facts of a block's header. */
export interface BlockHeader {
  readonly kind: BlockKind;
  readonly flags: BlockFlags;
  readonly arrivedAt: number;
  readonly sourceLength: number;
  readonly keyLength: number;
  readonly payloadLength: number;
  readonly bodyChecksum: number;
  /** Bytes from the block's start to the next one's. */
  readonly length: number;
}

/** Reads a block's header at a place; undefined: none is there, or it is damaged. */
export function decodeBlockHeader(bytes: Buffer, at: number, seed: number): BlockHeader | undefined {
  if (bytes.length - at < blockHeaderLength || bytes.readUInt32LE(at) !== blockMagic.readUInt32LE()) return undefined;
  if (crc32(bytes.subarray(at, at + 28), seed) !== bytes.readUInt32LE(at + 28)) return undefined;
  const kind = kinds[bytes.readUInt8(at + 4) - 1];
  if (kind === undefined) return undefined;
  const bits = bytes.readUInt8(at + 5);
  const [sourceLength, payloadLength, keyLength] = [
    bytes.readUInt16LE(at + 6),
    bytes.readUInt32LE(at + 8),
    bytes.readUInt16LE(at + 12),
  ];
  return {
    kind,
    flags: {
      ...((bits & 1) !== 0 && { unterminated: true }),
      ...((bits & 2) !== 0 && { cut: true }),
      ...((bits & 4) !== 0 && { continued: true }),
    },
    arrivedAt: Number(bytes.readBigUInt64LE(at + 16)),
    sourceLength,
    keyLength,
    payloadLength,
    bodyChecksum: bytes.readUInt32LE(at + 24),
    length: blockHeaderLength + sourceLength + keyLength + payloadLength,
  };
}

/** Whether a block's body is what was written. */
export function isBodyWhole(header: BlockHeader, body: Buffer, seed: number): boolean {
  return crc32(body, seed) === header.bodyChecksum;
}
