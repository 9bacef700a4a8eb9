import type { Log } from '../log.ts';
import { type Checkpoint, loadCheckpoint, saveCheckpoint, type Unfinished } from './checkpoint.ts';
import { type FileHandle, type FileSystem, hasCode, syncDirectory, writeAll } from './file-system.ts';
import { addTo, type Ledger, type PastLedger } from './ledger.ts';
import type { Lock } from './lock.ts';
import { markAt } from './mark.ts';
import { isBefore, type Position, read, readAt, type Readable, type ReadItem } from './reader.ts';
import { inspectSegments } from './recovery.ts';
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
  readonly #source: SegmentWriter | { readonly segments: WrittenSegment[] };
  readonly #ledger: Ledger;
  #position: Position;
  #unfinished: readonly Unfinished[];
  #saved = true;
  #saving: Promise<void> = Promise.resolve();

  constructor(
    id: string,
    context: JournalContext,
    lock: Lock,
    source: SegmentWriter | { readonly segments: WrittenSegment[] },
    checkpoint: Checkpoint,
  ) {
    this.id = id;
    this.#context = context;
    this.#lock = lock;
    this.#source = source;
    this.#position = checkpoint.position;
    this.#unfinished = checkpoint.unfinished;
    this.#ledger = checkpoint.ledger;
  }

  get directory(): string {
    return `${this.#context.root}/${this.id}`;
  }

  /** Bytes of its files. */
  get size(): number {
    const { segments }: { readonly segments: readonly WrittenSegment[] } = this.#source;
    return segments.reduce((sum, { length }) => sum + length, 0);
  }

  get ledger(): Ledger {
    const live = 'committedBytes' in this.#source ? { committedBytes: this.#source.committedBytes } : {};
    return { ...this.#ledger, ...live };
  }

  /** What is not delivered, in order; of a directory that is written to, also what is yet to come. */
  read(signal: AbortSignal): AsyncGenerator<ReadItem> {
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

  /** Makes the checkpoint durable; then deletes the segments before it. */
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
      try {
        await saveCheckpoint(fileSystem, this.directory, { position, unfinished, ledger: this.ledger });
      } catch (error) {
        this.#saved = false;
        throw error;
      }
    }
    const done = ({ number, length, sealed }: WrittenSegment): boolean =>
      sealed && !isBefore(position, { segment: number, offset: length });
    for (const { number } of this.#source.segments.filter(done)) {
      await remove(fileSystem, `${this.directory}/${segmentName(number)}`);
      this.#forget(number);
    }
  }

  #forget(number: number): void {
    if ('forget' in this.#source) this.#source.forget(number);
    else {
      const index = this.#source.segments.findIndex((segment) => segment.number === number);
      this.#source.segments.splice(index, 1);
    }
  }

  /**
   * Keeps damaged bytes in `quarantine/`, durably; answers how many count. Zeros are no loss: they are what a file
   * system leaves of a length that was saved without its bytes.
   */
  async quarantine({ at, length }: { at: Position; length: number }): Promise<number> {
    const path = `${this.directory}/${segmentName(at.segment)}`;
    return keepDamage(this.#context, path, `${this.id}-${at.segment}-${at.offset}`, at.offset, length);
  }

  /** Ends a directory that is delivered: its ledger is added to the past, and its files are deleted. */
  async retire(): Promise<void> {
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
  const { position, unfinished, ledger } = await loadCheckpoint(fileSystem, directory);
  const { segments, damaged, empty } = await inspectSegments(fileSystem, directory);
  let quarantined = 0;
  for (const { name, size } of damaged) {
    quarantined += await keepDamage(context, `${directory}/${name}`, `${id}-${segmentNumber(name)}-0`, 0, size);
  }
  ledger.quarantinedBytes += quarantined;
  const journal = new Journal(id, context, lock, { segments }, { position, unfinished, ledger });
  // The process counted what it committed, but died before it could save the count.
  let unread = 0;
  for await (const item of journal.read(signal)) {
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

async function keepDamage(
  { root, fileSystem, log }: JournalContext,
  path: string,
  name: string,
  start: number,
  length: number,
): Promise<number> {
  const folder = `${root}/quarantine`;
  const source = await fileSystem.open(path, 'r');
  let copy: FileHandle | undefined;
  try {
    for (let done = 0; done < length;) {
      const bytes = await readAt(source, start + done, Math.min(length - done, 1024 * 1024));
      if (copy === undefined && bytes.some((byte) => byte !== 0)) {
        await fileSystem.mkdir(folder, { recursive: true });
        await syncDirectory(fileSystem, root);
        copy = await fileSystem.open(`${folder}/${name}`, 'w');
        // What was zeros so far is written again, as part of the whole.
        done = 0;
        continue;
      }
      if (copy !== undefined) await writeAll(copy, [bytes], done);
      done += bytes.length;
    }
    if (copy === undefined) return 0;
    await copy.datasync();
  } finally {
    await copy?.close();
    await source.close();
  }
  await syncDirectory(fileSystem, folder);
  log.error(
    { file: `${folder}/${name}`, bytes: length },
    'bytes of the spool are damaged; they are kept, and stepped over',
  );
  return length;
}

async function remove(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    await fileSystem.unlink(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
