import type { Log } from '../log.ts';
import { type Checkpoint, loadCheckpoint, saveCheckpoint, type Unfinished } from './checkpoint.ts';
import { countDropped, type Dropped, eraseSegment } from './dropping.ts';
import { type FileSystem, hasCode } from './file-system.ts';
import { addTo, type Ledger, type PastLedger } from './ledger.ts';
import type { Lock } from './lock.ts';
import { markAt } from './mark.ts';
import { keepDamage } from './quarantine.ts';
import { isBefore, type Position, read, type Readable, type ReadItem } from './reader.ts';
import { inspectSegments } from './recovery.ts';
import { SegmentList } from './segment-list.ts';
import { segmentName, segmentNumber } from './segment.ts';
import type { SegmentWriter, WrittenSegment } from './writer.ts';

/** What every directory of the spool needs. */
export interface JournalContext {
  /** The spool's own directory. */
  readonly root: string;
  readonly fileSystem: FileSystem;
  readonly past: PastLedger;
  readonly log: Log;
}

/** One life's directory, as it is read: the segments, how far they are delivered, and the ledger. */
export class Journal {
  /** The directory's name. */
  readonly id: string;
  readonly #context: JournalContext;
  readonly #lock: Lock;
  readonly #source: SegmentWriter | SegmentList;
  readonly #ledger: Ledger;
  #position: Position;
  #unfinished: readonly Unfinished[];
  /** The segment that the reader has got to. */
  #entered = 0;
  /** Dropped segments whose files may still be there; of some the header is kept. */
  #dropped: { readonly number: number; readonly keepHeader: boolean }[];
  /** Segments whose valid length stands in the header of one that was dropped. */
  readonly #measured = new Set<number>();
  #dropping: Promise<unknown> = Promise.resolve();
  /** When what was read last arrived, in µs since 1970; at first what comes first. */
  #arrivedAt: number | undefined;
  #saved = true;
  #saving: Promise<void> = Promise.resolve();

  constructor(
    id: string,
    context: JournalContext,
    lock: Lock,
    source: SegmentWriter | SegmentList,
    checkpoint: Checkpoint,
  ) {
    this.id = id;
    this.#context = context;
    this.#lock = lock;
    this.#source = source;
    this.#position = checkpoint.position;
    this.#unfinished = checkpoint.unfinished;
    this.#dropped = checkpoint.dropped.map((number) => ({ number, keepHeader: true }));
    this.#ledger = checkpoint.ledger;
  }

  get directory(): string {
    return `${this.#context.root}/${this.id}`;
  }

  /** Bytes of its files. */
  get size(): number {
    return this.#source.size;
  }

  /**
   * About when the oldest arrived that is not delivered, in µs since 1970, where nobody reads the directory: exact as long
   * as nothing of it was read. Undefined: nothing is known to wait.
   */
  get oldest(): number | undefined {
    const { segments } = this.#source;
    const waits = segments.some(({ number, length }) => isBefore(this.#position, { segment: number, offset: length }));
    return waits ? this.#arrivedAt : undefined;
  }

  get ledger(): Ledger {
    const live = 'committedBytes' in this.#source ? { committedBytes: this.#source.committedBytes } : {};
    return { ...this.#ledger, ...live };
  }

  /** What is not delivered, in order; of a directory that is written to, also what is yet to come. */
  read(signal: AbortSignal): AsyncGenerator<ReadItem> {
    return this.#read(signal, {
      onSegment: (number) => (this.#entered = Math.max(this.#entered, number)),
      onBlock: ({ arrivedAt }) => (this.#arrivedAt = arrivedAt),
    });
  }

  /** The same for whoever does not deliver it: what was looked at can still be dropped. */
  inspect(signal: AbortSignal): AsyncGenerator<ReadItem> {
    return this.#read(signal, {
      onSegment: () => undefined,
      onBlock: ({ arrivedAt }) => (this.#arrivedAt ??= arrivedAt),
    });
  }

  #read(signal: AbortSignal, told: Pick<Readable, 'onSegment' | 'onBlock'>): AsyncGenerator<ReadItem> {
    const { fileSystem } = this.#context;
    const source = this.#source;
    const from: Readable = {
      directory: this.directory,
      fileSystem,
      get segments() {
        return source.segments;
      },
      get nextCommit() {
        return 'nextCommit' in source ? source.nextCommit : Promise.resolve();
      },
      get ended() {
        return 'ended' in source ? source.ended : true;
      },
      ...told,
    };
    return read(from, this.#position, signal);
  }

  /** Appends a mark, if the directory is written to. False: it was not taken. */
  async mark(place: Position): Promise<boolean> {
    if (!('append' in this.#source)) return false;
    return this.#source.append(markAt(place)).then(
      () => true,
      () => false,
    );
  }

  /** Lines that are delivered, and whose rest is still to be read. */
  get unfinished(): readonly Unfinished[] {
    return this.#unfinished;
  }

  /**
   * Notes that all before a place is delivered, with lines that are not finished there, and what became of it. `save`
   * makes it durable.
   */
  advance(position: Position, unfinished: readonly Unfinished[], counts: Readonly<Partial<Ledger>>): void {
    this.#position = position;
    this.#unfinished = unfinished;
    addTo(this.#ledger, counts);
    this.#saved = false;
  }

  /**
   * Drops the oldest segment of which nothing was read. What is being delivered stays: it may be in the sink already.
   * @returns what was in it; undefined: there is none
   */
  dropOldest(): Promise<Dropped | undefined> {
    const dropping = this.#dropOldest();
    this.#dropping = dropping.catch(() => undefined);
    return dropping;
  }

  async #dropOldest(): Promise<Dropped | undefined> {
    const { segments } = this.#source;
    const read = Math.max(this.#entered, this.#position.segment);
    const index = segments.findIndex(({ number, sealed }) => sealed && number > read);
    const segment = segments[index];
    if (segment === undefined) return undefined;
    const before = segments[index - 1]?.number;
    const keepHeader = before !== undefined && !this.#measured.has(before);
    if (keepHeader) this.#measured.add(before);
    // From here on no reader gets to it.
    this.#source.forget(segment.number);
    const counted = await countDropped({ directory: this.directory, ...this.#context }, segment);
    const { bytes, records } = counted;
    addTo(this.#ledger, { droppedBytes: bytes, readRecords: records, droppedRecords: records });
    this.#dropped.push({ number: segment.number, keepHeader });
    this.#saved = false;
    await this.save();
    return counted;
  }

  /** Makes the checkpoint durable; then deletes the segments before it, and those that were dropped. */
  save(): Promise<void> {
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#save());
    return this.#saving;
  }

  async #save(): Promise<void> {
    const { fileSystem } = this.#context;
    const position = this.#position;
    const unfinished = this.#unfinished;
    if (!this.#saved) {
      this.#saved = true;
      const dropped = this.#dropped.map(({ number }) => number);
      const save = () =>
        saveCheckpoint(fileSystem, this.directory, { position, unfinished, dropped, ledger: this.ledger });
      try {
        await save().catch(async (error: unknown) => {
          if (dropped.length === 0 || !hasCode(error, 'ENOSPC', 'EDQUOT')) throw error;
          // What was dropped makes room.
          await this.#erase();
          await save();
        });
      } catch (error) {
        this.#saved = false;
        throw error;
      }
    }
    await this.#erase();
    const done = ({ number, length, sealed }: WrittenSegment): boolean =>
      sealed && !isBefore(position, { segment: number, offset: length });
    for (const { number } of this.#source.segments.filter(done)) {
      await remove(fileSystem, `${this.directory}/${segmentName(number)}`);
      this.#source.forget(number);
    }
  }

  /** Erases the files of dropped segments. */
  async #erase(): Promise<void> {
    for (const dropped of this.#dropped) {
      await eraseSegment(this.#context.fileSystem, this.directory, dropped);
      this.#dropped = this.#dropped.filter((other) => other !== dropped);
    }
  }

  /** Keeps damaged bytes in `quarantine/`, durably; answers how many count. */
  async quarantine({ at, length }: { at: Position; length: number }): Promise<number> {
    const path = `${this.directory}/${segmentName(at.segment)}`;
    return keepDamage(this.#context, path, `${this.id}-${at.segment}-${at.offset}`, at.offset, length);
  }

  /** Ends a directory that is delivered: its ledger is added to the past, and its files are deleted. */
  async retire(): Promise<void> {
    await this.#dropping;
    await this.save();
    if (this.size > 0) throw new Error(`${this.directory} is not delivered to its end`);
    const { past, fileSystem } = this.#context;
    past.add(this.id, this.ledger);
    await discard(fileSystem, this.directory, this.#lock);
  }

  /** Leaves the directory to whoever takes it next. */
  async release(): Promise<void> {
    try {
      await this.save();
    } finally {
      this.#lock[Symbol.dispose]();
    }
  }
}

/** The file in a directory that its owner has locked. */
export const lockName = 'lock';

/**
 * Removes a directory that holds nothing of worth. The lock's file goes last and the lock is held until the directory is
 * gone, so that nobody can hold a lock of it that others do not see.
 */
export async function discard(fileSystem: FileSystem, directory: string, lock: Lock): Promise<void> {
  try {
    for (const name of await fileSystem.readdir(directory)) {
      if (name !== lockName) await remove(fileSystem, `${directory}/${name}`);
    }
    await remove(fileSystem, `${directory}/${lockName}`);
    await fileSystem.rmdir(directory);
  } catch (error) {
    // Someone made a new lock in it between the two, and removes it now; or did so already.
    if (!hasCode(error, 'ENOTEMPTY', 'ENOENT', 'EEXIST')) throw error;
  } finally {
    lock[Symbol.dispose]();
  }
}

/** Takes over the directory of a dead process; the caller holds its lock. */
export async function adopt(id: string, context: JournalContext, lock: Lock, signal: AbortSignal): Promise<Journal> {
  const { root, fileSystem, log } = context;
  const directory = `${root}/${id}`;
  const { position, unfinished, dropped, ledger } = await loadCheckpoint(fileSystem, directory);
  const { segments: found, damaged, empty } = await inspectSegments(fileSystem, directory);
  const segments = found.filter(({ number }) => !dropped.includes(number));
  let quarantined = 0;
  for (const { name, size } of damaged) {
    quarantined += await keepDamage(context, `${directory}/${name}`, `${id}-${segmentNumber(name)}-0`, 0, size);
  }
  ledger.quarantinedBytes += quarantined;
  const journal = new Journal(id, context, lock, new SegmentList(segments), { position, unfinished, dropped, ledger });
  // The process counted what it committed, but died before it could save the count.
  let unread = 0;
  for await (const item of journal.inspect(signal)) {
    unread += item.kind === 'block' ? item.block.payload.length : await journal.quarantine(item);
  }
  signal.throwIfAborted();
  ledger.committedBytes = ledger.readBytes + ledger.droppedBytes + ledger.quarantinedBytes + unread;
  journal.advance(position, unfinished, {});
  await journal.save();
  for (const name of [...empty, ...damaged.map(({ name }) => name)]) await remove(fileSystem, `${directory}/${name}`);
  log.info({ directory, unread, quarantined }, 'took over the spool of a process that ended');
  return journal;
}

async function remove(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    await fileSystem.unlink(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
