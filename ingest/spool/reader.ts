import type { StoredBlock } from '../block.ts';
import type { FileSystem } from './file-system.ts';
import { openToRead, type ReadFile } from './read-file.ts';
import {
  type BlockHeader,
  blockHeaderLength,
  blockMagic,
  checksumSeed,
  decodeBlockHeader,
  headerLength,
  isBodyWhole,
  segmentName,
} from './segment.ts';
import type { WrittenSegment } from './writer.ts';

/** A place between two blocks of a directory. */
export interface Position {
  /** A segment's number; 0 is before the first. */
  readonly segment: number;
  /** Bytes from the segment's start. */
  readonly offset: number;
}

/** Whether a place comes before another. */
export function isBefore(a: Position, b: Position): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.offset < b.offset);
}

/** What a reader comes across: a block, or bytes that are none. It starts at `at`; `after` is the place behind it. */
export type ReadItem =
  | { readonly kind: 'block'; readonly block: StoredBlock; readonly at: Position; readonly after: Position }
  | { readonly kind: 'damage'; readonly at: Position; readonly length: number; readonly after: Position };

/** A directory of segments, which may grow while it is read. */
export interface Readable {
  readonly directory: string;
  readonly fileSystem: FileSystem;
  /** Oldest first; no byte beyond their lengths is read. */
  readonly segments: readonly WrittenSegment[];
  /** Resolves when there may be more. */
  readonly nextCommit: Promise<void>;
  /** There will not be more. */
  readonly ended: boolean;
  /** Is told which segment is read next, before it is asked for anything else. */
  readonly onSegment: (number: number) => void;
  /** Is told of each block, before it is handed on. */
  readonly onBlock: (block: StoredBlock) => void;
}

/** Bytes of one read. A block that is larger is read by itself. */
const chunkSize = 4 * 1024 * 1024;

/** What is read into, over and over. */
interface Memory {
  bytes?: Buffer;
}

/**
 * Reads a directory from a place on, and follows it until it ends or the signal ends it. Damage is stepped over, to
 * the next whole block.
 */
export async function* read(from: Readable, start: Position, signal: AbortSignal): AsyncGenerator<ReadItem> {
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  let position = start;
  const memory: Memory = {};
  while (!signal.aborted) {
    // Asked before the segments are, so that no commit falls between the two.
    const { nextCommit, ended } = from;
    const segment = from.segments.find(
      ({ number, length, sealed }) =>
        number > position.segment || (number === position.segment && (position.offset < length || !sealed)),
    );
    if (segment !== undefined) from.onSegment(segment.number);
    if (segment !== undefined && segment.number !== position.segment) {
      position = { segment: segment.number, offset: headerLength };
    }
    if (segment === undefined || position.offset >= segment.length) {
      if (ended) return;
      await Promise.race([nextCommit, aborted]);
      continue;
    }
    await using file = await openToRead(from.fileSystem, `${from.directory}/${segmentName(segment.number)}`);
    while (position.offset < segment.length && !signal.aborted) {
      for await (const item of readRun(file, segment, position.offset, segment.length, memory)) {
        position = item.after;
        if (item.kind === 'block') from.onBlock(item.block);
        yield item;
        if (signal.aborted) return;
      }
    }
  }
}

/** Reads the blocks of a segment, as it is now. */
export async function* readSegment(
  { directory, fileSystem }: Pick<Readable, 'directory' | 'fileSystem'>,
  segment: WrittenSegment,
): AsyncGenerator<ReadItem> {
  await using file = await openToRead(fileSystem, `${directory}/${segmentName(segment.number)}`);
  yield* readRun(file, segment, headerLength, segment.length, {});
}

/**
 * Reads what lies between two offsets of a segment, the second of which is a block's end, or the end of what is left. A
 * block can be read until another is asked for.
 */
async function* readRun(
  file: ReadFile,
  { number, identity }: WrittenSegment,
  start: number,
  end: number,
  memory: Memory,
): AsyncGenerator<ReadItem> {
  const seed = checksumSeed(identity.id);
  let at = start;
  while (at < end) {
    let chunk = await file.read(at, Math.min(chunkSize, end - at), memory.bytes);
    if (chunk.length > (memory.bytes?.length ?? 0)) memory.bytes = chunk;
    const first = decodeBlockHeader(chunk, 0, seed);
    if (first !== undefined && first.length > chunk.length && first.length <= end - at) {
      chunk = await file.read(at, first.length);
    }
    let used = 0;
    for (;;) {
      const header = decodeBlockHeader(chunk, used, seed);
      if (header === undefined || used + header.length > chunk.length) break;
      const body = chunk.subarray(used + blockHeaderLength, used + header.length);
      if (!isBodyWhole(header, body, seed)) break;
      const offset = at + used + header.length - header.payloadLength;
      const place = { segment: number, offset: at + used };
      used += header.length;
      const after = { segment: number, offset: at + used };
      yield { kind: 'block', block: { ...parse(header, body), segment: identity, offset }, at: place, after };
    }
    if (used === 0) {
      const next = await findBlock(file, at + 1, end, seed);
      const after = { segment: number, offset: next };
      yield { kind: 'damage', at: { segment: number, offset: at }, length: next - at, after };
      used = next - at;
    }
    at += used;
  }
}

function parse(header: BlockHeader, body: Buffer): Omit<StoredBlock, 'segment' | 'offset'> {
  const { kind, flags, arrivedAt, sourceLength, keyLength } = header;
  return {
    kind,
    flags,
    arrivedAt,
    source: JSON.parse(body.toString('utf8', 0, sourceLength)),
    payload: body.subarray(sourceLength + keyLength),
  };
}

/** Where the next whole header stands whose block fits; `end` if there is none. */
async function findBlock(file: ReadFile, start: number, end: number, seed: number): Promise<number> {
  for (let at = start; at < end;) {
    const chunk = await file.read(at, Math.min(chunkSize, end - at));
    for (let found = chunk.indexOf(blockMagic); found >= 0; found = chunk.indexOf(blockMagic, found + 1)) {
      const header = decodeBlockHeader(chunk, found, seed);
      if (header !== undefined && at + found + header.length <= end) return at + found;
    }
    if (at + chunk.length >= end) return end;
    // A header may lie across the border.
    at += chunk.length - blockHeaderLength + 1;
  }
  return end;
}
