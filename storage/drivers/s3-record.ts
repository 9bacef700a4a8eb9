import { uploadsFolder } from '../layout.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { S3Error } from './s3-errors.ts';

/*
 * The objects of an unfinished upload, below `_shiplog/uploads/<id>`:
 *
 *   record                            JSON in one line, only ever changed by conditional writes: who holds the lease, and
 *                                     which objects count; then a line break and the last bytes, if they are few
 *   part.<n>.<place>                  8 MiB of its bytes, as the n-th lease wrote them
 *   piece.<n>.<place>.<start>.<end>   bytes of what is to become a part, from start to before end
 *
 * Who takes a lease raises the record's generation, under the condition that the record is as it was read: so there is one
 * lease of a generation, and no older one can change the record any more, nor write to a newer one's objects. What the
 * record does not list does not count, and goes with the upload, or is swept.
 *
 * A process that alone has written to the upload so far puts that off until it writes an object, for a second at most: what
 * is small is then kept by one write, which takes the lease and ends it. Should another process take it meanwhile, that
 * write fails.
 */

/** Bytes of each part but the last. S3 wants 5 MiB at least. */
export const partSize = 8 * 1024 * 1024;

/** So many whole parts in a row that one lease wrote. */
export interface Run {
  readonly generation: number;
  readonly count: number;
}

/** Some bytes that one lease wrote. */
export interface Piece {
  readonly generation: number;
  readonly size: number;
}

/** The bytes of an upload that lie in objects: whole parts, pieces of what is to become the next one, and the record's. */
export interface Held {
  readonly parts: readonly Run[];
  readonly pieces: readonly Piece[];
  readonly tail: Uint8Array;
}

export const nothing: Uint8Array = new Uint8Array();

/** Bytes that a record takes, and those of them that are written again and again, however few come with them. */
const [longestTail, oftenWritten] = [1024 * 1024, 64 * 1024];

/** Whether a record takes so many bytes, of which it has `old` ones already. */
export function fitsRecord(size: number, old: number): boolean {
  return size <= oftenWritten || (size <= longestTail && old <= size / 4);
}

export interface UploadRecord extends Held {
  /** The lease; 0 at first. */
  readonly generation: number;
  /** Whoever took it: no two records of one generation are alike. */
  readonly holder: string;
  /** The lease that left the bytes as they are. */
  readonly left: number;
  readonly note: string;
}

const recordLimit = 1024 * 1024 + longestTail;

export function uploadFolder(id: string): string {
  return `${uploadsFolder}/${id}`;
}

export function recordKey(id: string): string {
  return `${uploadFolder(id)}/record`;
}

export function partKey(id: string, generation: number, place: number): string {
  return `${uploadFolder(id)}/part.${generation}.${place}`;
}

/** How many whole parts there are. */
export function countParts(parts: readonly Run[]): number {
  return parts.reduce((sum, { count }) => sum + count, 0);
}

/** The same parts and one more. */
export function addPart(parts: readonly Run[], generation: number): Run[] {
  const last = parts.at(-1);
  return last?.generation === generation
    ? [...parts.slice(0, -1), { generation, count: last.count + 1 }]
    : [...parts, { generation, count: 1 }];
}

/** The objects of whole parts, in order. */
export function* partKeys(id: string, parts: readonly Run[]): Generator<string, void, void> {
  let place = 0;
  for (const { generation, count } of parts) {
    for (const end = place + count; place < end; place += 1) yield partKey(id, generation, place);
  }
}

/** The object of a piece that starts somewhere in the part at that place. */
export function pieceKey(id: string, { generation, size }: Piece, place: number, start: number): string {
  return `${uploadFolder(id)}/piece.${generation}.${place}.${start}.${start + size}`;
}

/** The pieces after the whole parts, each with its object and where it starts in the part that is to be. */
export function placePieces(
  id: string,
  { parts, pieces }: Omit<Held, 'tail'>,
): { key: string; start: number; size: number }[] {
  const place = countParts(parts);
  let end = 0;
  return pieces.map((piece) => {
    const start = end;
    end += piece.size;
    return { key: pieceKey(id, piece, place, start), start, size: piece.size };
  });
}

/** Bytes of what is to become a part. */
export function sizeOfPieces(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { size }) => sum + size, 0);
}

/** Bytes of an upload. */
export function sizeOf({ parts, pieces, tail }: Held): number {
  return countParts(parts) * partSize + sizeOfPieces(pieces) + tail.length;
}

/** A record as it was read, or written. */
export interface FoundRecord {
  readonly record: UploadRecord;
  readonly etag: string;
  /** Whether this process, and no other, has written to the upload. */
  readonly own: boolean;
}

/** Undefined: there is no such upload, or its record is none. `known`: what it was before. */
export async function readRecord(bucket: S3Bucket, id: string, known?: FoundRecord): Promise<FoundRecord | undefined> {
  if (known !== undefined && (await bucket.stat(recordKey(id)))?.etag === known.etag) return known;
  const found = await bucket.get(recordKey(id), recordLimit);
  const record = found && parseRecord(Buffer.from(found.bytes));
  return record && { record, etag: found.etag, own: false };
}

/** A record as it is stored. */
export function formatRecord({ tail, ...record }: UploadRecord): Uint8Array[] {
  const text = JSON.stringify(record);
  return tail.length === 0 ? [Buffer.from(text)] : [Buffer.from(`${text}\n`), tail];
}

/**
 * Writes a record in place of the one with that etag. @returns its own; undefined: another one has taken its place, or
 * the upload is gone
 */
export async function replaceRecord(
  bucket: S3Bucket,
  id: string,
  record: UploadRecord,
  etag: string,
): Promise<string | undefined> {
  const text = formatRecord(record);
  for (let attempt = 1; attempt <= 10; attempt += 1) {
    const written = await bucket.put(recordKey(id), text, { condition: { etag } });
    if (written !== undefined) return written;
    const found = await bucket.get(recordKey(id), recordLimit);
    // The answer to an earlier attempt was lost, but not what it wrote.
    if (found !== undefined && Buffer.concat(text).equals(found.bytes)) return found.etag;
    if (found?.etag !== etag) return undefined;
    // Another conditional write was under way, and failed.
  }
  throw new S3Error('PutObject at S3 failed: the record of an upload is as it should be, and yet cannot be replaced');
}

function parseRecord(bytes: Buffer): UploadRecord | undefined {
  const end = bytes.indexOf('\n');
  try {
    const tail = end < 0 ? nothing : bytes.subarray(end + 1);
    return asRecord(JSON.parse(bytes.toString('utf8', 0, end < 0 ? bytes.length : end)), tail);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function asRecord(value: unknown, tail: Uint8Array): UploadRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('generation' in value && 'holder' in value && 'left' in value && 'note' in value)) return undefined;
  if (!('parts' in value && 'pieces' in value)) return undefined;
  const { generation, holder, left, note, parts, pieces } = value;
  if (!isCount(generation) || !isCount(left) || typeof holder !== 'string' || typeof note !== 'string')
    return undefined;
  if (!Array.isArray(parts) || !parts.every(isRun) || !Array.isArray(pieces) || !pieces.every(isPiece))
    return undefined;
  return { generation, holder, left, note, parts, pieces, tail };
}

function isRun(value: unknown): value is Run {
  return hasCounts(value, 'generation', 'count');
}

function isPiece(value: unknown): value is Piece {
  return hasCounts(value, 'generation', 'size');
}

function hasCounts<K extends string>(value: unknown, ...names: K[]): value is Record<K, number> {
  return (
    typeof value === 'object' &&
    value !== null &&
    names.every((name) => isCount(new Map(Object.entries(value)).get(name)))
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
