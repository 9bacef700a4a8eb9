import { randomBytes } from 'node:crypto';
import type { Block, SegmentIdentity, Source } from '../block.ts';
import type { Log } from '../log.ts';
import { Rarely } from '../rarely.ts';
import { SpoolError } from './errors.ts';
import { type FileHandle, type FileSystem, hasCode, syncDirectory, writeAll } from './file-system.ts';
import { SegmentList } from './segment-list.ts';
import {
  checksumSeed,
  encodeBlock,
  encodeHeader,
  encodeSource,
  headerLength,
  type Predecessor,
  segmentName,
} from './segment.ts';

/** How a directory is written to. Sizes in bytes. */
export interface WriterOptions {
  readonly directory: string;
  readonly fileSystem: FileSystem;
  /** A segment that has as much takes no further commit. */
  readonly segmentSize: number;
  readonly log: Log;
  /** A clock in µs since 1970. */
  readonly now: () => number;
}

/** A segment as far as it is committed. */
export interface WrittenSegment {
  readonly number: number;
  readonly identity: SegmentIdentity;
  /** Bytes, all of them committed. */
  readonly length: number;
  /** Nothing will be added. */
  readonly sealed: boolean;
}

interface Pending {
  readonly block: Block;
  readonly source: Buffer;
  readonly resolve: () => void;
  readonly reject: (error: SpoolError) => void;
}

interface OpenSegment {
  readonly number: number;
  readonly identity: SegmentIdentity;
  readonly seed: number;
  readonly header: Buffer;
  file: FileHandle | undefined;
  length: number;
  sealed: boolean;
}

/** As much goes into one commit, at most, but always one block. */
const largestCommit = 16 * 1024 * 1024;

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * Appends blocks to the segments of a directory. Whatever is asked for while one commit runs goes into the next.
 *
 * After a failed write or sync, nobody knows what of it will be on the disk, and a second sync of the same file could
 * succeed without saving it (Linux marks the pages clean). So the segment is sealed at its last committed length, and
 * what was not committed is written into a new one. If that fails too, the appends are rejected.
 */
export class SegmentWriter {
  readonly #options: WriterOptions;
  readonly #told: Rarely;
  readonly #queue: Pending[] = [];
  readonly #sources = new WeakMap<Source, Buffer>();
  /** Those with something committed, oldest first. */
  readonly #segments = new SegmentList<OpenSegment>();
  #current: OpenSegment | undefined;
  #running: Promise<void> | undefined;
  #number = 0;
  #closed = false;
  #ended = false;
  #last: { predecessor?: Predecessor; end: number } = { end: 0 };
  #committed: () => void = () => undefined;
  #nextCommit: Promise<void>;
  /** Bytes of payload that were committed. */
  committedBytes = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#told = new Rarely(options.log);
    this.#nextCommit = new Promise((resolve) => (this.#committed = resolve));
  }

  /** Resolves when the block is durable. @throws {SpoolError} it is not in the spool. */
  append(block: Block): Promise<void> {
    if (this.#closed) return Promise.reject(new SpoolError('closed', 'the spool is closed'));
    let source = this.#sources.get(block.source);
    if (source === undefined) {
      source = encodeSource(block.source);
      this.#sources.set(block.source, source);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#queue.push({ block, source, resolve, reject });
    this.#running ??= this.#run();
    return promise;
  }

  /** What is committed, oldest first; it grows. Deleted segments are not in it. */
  get segments(): readonly WrittenSegment[] {
    return this.#segments.segments;
  }

  /** Bytes of all of them. */
  get size(): number {
    return this.#segments.size;
  }

  /** Resolves after the next commit, or when the writer closes. */
  get nextCommit(): Promise<void> {
    return this.#nextCommit;
  }

  /** Nothing more will be committed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Forgets a segment that was deleted. */
  forget(number: number): void {
    this.#segments.forget(number);
  }

  /** Seals the present segment, so that all of it can be deleted once it is delivered. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    await this.#seal();
    this.#ended = true;
    this.#committed();
  }

  async #run(): Promise<void> {
    // So that all appends of one turn of the event loop are in the first commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      const batch = this.#take();
      try {
        await this.#commit(batch);
        for (const { resolve } of batch) resolve();
      } catch (cause) {
        const full = hasCode(cause, 'ENOSPC', 'EDQUOT', 'EFBIG');
        const error = new SpoolError(full ? 'full' : 'io', `the spool cannot be written: ${reasonOf(cause)}`, {
          cause,
        });
        // Those behind it too: a block must not overtake the one before it of its connection.
        for (const { reject } of [...batch, ...this.#queue.splice(0)]) reject(error);
      }
    }
    this.#running = undefined;
  }

  #take(): Pending[] {
    let bytes = 0;
    let count = 0;
    for (const { block, source } of this.#queue) {
      bytes += block.payload.length + source.length;
      if (count > 0 && bytes > largestCommit) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    try {
      await this.#write(batch);
    } catch (error) {
      this.#told.warn(
        'commit',
        { reason: reasonOf(error), directory: this.#options.directory },
        'a commit of the spool failed; it is tried again in a new segment',
      );
      await this.#cutOff();
      await this.#seal();
      try {
        await this.#write(batch);
      } catch (again) {
        await this.#cutOff();
        await this.#seal();
        throw again;
      }
    }
    let payload = 0;
    for (const { block } of batch) payload += block.payload.length;
    this.committedBytes += payload;
    const committed = this.#committed;
    this.#nextCommit = new Promise((resolve) => (this.#committed = resolve));
    committed();
  }

  async #write(batch: readonly Pending[]): Promise<void> {
    const segment = (this.#current ??= this.#next());
    const { directory, fileSystem } = this.#options;
    const fresh = segment.length === 0;
    segment.file ??= await fileSystem.open(`${directory}/${segmentName(segment.number)}`, 'wx');
    const buffers: Uint8Array[] = fresh ? [segment.header] : [];
    for (const { block, source } of batch) buffers.push(...encodeBlock(block, source, segment.seed));
    await writeAll(segment.file, buffers, segment.length);
    await segment.file.datasync();
    if (fresh) await syncDirectory(fileSystem, directory);
    const written = buffers.reduce((sum, { length }) => sum + length, 0);
    segment.length += written;
    if (fresh) this.#segments.add(segment);
    else this.#segments.grew(written);
    if (segment.length >= this.#options.segmentSize) await this.#seal();
  }

  /**
   * Cuts off what a failed commit left, which may be whole: else, should the process be killed before another commit, the
   * next one took it for committed. Where this fails too, the header of the next segment tells.
   */
  async #cutOff(): Promise<void> {
    const { file, length = 0 } = this.#current ?? {};
    await file?.truncate(length).catch(() => undefined);
  }

  #next(): OpenSegment {
    this.#number += 1;
    const id = randomBytes(16).toString('hex');
    const base = Math.max(this.#options.now(), this.#last.end);
    const { predecessor } = this.#last;
    return {
      number: this.#number,
      identity: { id, base },
      seed: checksumSeed(id),
      header: encodeHeader({ id, base, ...(predecessor !== undefined && { predecessor }) }),
      file: undefined,
      length: 0,
      sealed: false,
    };
  }

  async #seal(): Promise<void> {
    const segment = this.#current;
    if (segment === undefined) return;
    this.#current = undefined;
    segment.sealed = true;
    if (segment.length > headerLength) {
      const { number, identity, length } = segment;
      this.#last = { predecessor: { number, id: identity.id, length }, end: identity.base + length };
    }
    await segment.file?.close().catch(() => undefined);
    // Nothing of it was committed: the next segment's header says so, should this fail.
    const { directory, fileSystem } = this.#options;
    if (segment.length === 0)
      await fileSystem.unlink(`${directory}/${segmentName(segment.number)}`).catch(() => undefined);
  }
}
