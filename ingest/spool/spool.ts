/**
 * The spool: what came in, durably, until the sink has it.
 *
 *     spool/
 *       ledger.db                      the ledgers of directories that are gone
 *       quarantine/                    bytes that could not be read
 *       20261124T094700-5f3a9c01b2d4/  one life of one process
 *         lock                         held as long as the process lives (lock.ts)
 *         00000001.segment             blocks (segment.ts), appended by its owner (writer.ts)
 *         checkpoint                   how far it is delivered, and the ledger up to there
 *
 * A process writes only to a directory that it made. Directories whose owner is dead are taken over by whoever gets
 * their lock, delivered, and removed.
 *
 * Who races with whom:
 *
 * - A new directory and one who looks for orphans: it is made as `.new-NAME`, locked, and then renamed. Whoever sees it
 *   under its name finds it locked. One that died before the rename holds nothing, and is removed by who gets its lock.
 *   Who looks may get that lock before its maker does: the maker finds it taken, or the directory gone at the rename,
 *   and makes another. The remover lets go of the lock after the directory is gone; were it before, the maker could
 *   lock a file that is then unlinked, and rename a directory that the next one could lock too.
 * - Two who look for orphans: one gets the lock. The other may have opened the lock's file before the first unlinked it:
 *   it gets the lock when the directory is gone, and finds nothing. Or it comes between that and the directory's
 *   removal, makes a new lock file, and removes the directory: its ledger is counted already.
 * - The reader and a commit: a segment's length is raised after `fdatasync` (and of a new file the directory's sync)
 *   succeeded, and the reader goes by that length alone.
 * - The checkpoint and a deletion: a segment is deleted after a checkpoint behind its end is durable.
 * - The past ledger and the removal of a directory: the ledger first. A death between the two, or a power cut that brings
 *   files back, leaves a directory whose name the past ledger knows. Whoever gets its lock removes it unread.
 * - A refused block and those of its connection behind it: all that is queued is refused with it, in one turn of the
 *   event loop, so that none overtakes it.
 * - The end of the spool and a commit under way: readers are told of the end after the last commit.
 * - The reader and a segment that is dropped: only one that no reader has got to is dropped, and in the turn of the event
 *   loop in which that is found out it is taken off the list that readers go by. The checkpoint names it before its file
 *   is deleted; whoever takes the directory over deletes what is left of it, unread.
 */
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Block } from '../block.ts';
import type { Log } from '../log.ts';
import { makeDirectory } from './directory.ts';
import { SpoolError } from './errors.ts';
import { type FileSystem, nodeFileSystem, ownerOnly, syncDirectory } from './file-system.ts';
import { adopt, discard, Journal, type JournalContext, lockName } from './journal.ts';
import { emptyLedger, type Ledger, openPastLedger, type PastLedger } from './ledger.ts';
import { FillWatch } from './fill-watch.ts';
import { type Lock, type TakeLock, takeSqliteLock } from './lock.ts';
import { sizeOfQuarantine } from './quarantine.ts';
import { SegmentWriter } from './writer.ts';
import { Rarely } from '../rarely.ts';

/** How the spool is opened. Sizes in bytes. */
export interface SpoolOptions {
  /** Made if need be. */
  readonly directory: string;
  /** Of all files. */
  readonly maxSize: number;
  /** What becomes of it when it is full: nothing is taken, or the oldest segments are dropped to make room. */
  readonly whenFull?: WhenFull;
  readonly log: Log;
  readonly segmentSize?: number;
  readonly fileSystem?: FileSystem;
  readonly takeLock?: TakeLock;
  readonly past?: PastLedger;
  /** A clock in µs since 1970. */
  readonly now?: () => number;
}

/** `block` unless it is said. */
export type WhenFull = 'block' | 'drop-oldest';

/** The ledger over all directories, with what is left to be read. */
export interface SpoolTotals extends Ledger {
  readonly unreadBytes: number;
}

/** Opens the spool with a new directory for this life. */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const { directory: root, fileSystem = nodeFileSystem, log, takeLock = takeSqliteLock } = options;
  await fileSystem.mkdir(root, { recursive: true, mode: ownerOnly });
  await syncDirectory(fileSystem, dirname(root));
  const past = options.past ?? openPastLedger(`${root}/ledger.db`);
  const context: JournalContext = { root, fileSystem, past, log };
  const now = options.now ?? (() => Math.floor((performance.timeOrigin + performance.now()) * 1000));

  const { id, lock } = await makeDirectory(context, takeLock, now());

  // A segment is deleted as a whole: one must not be all that may be.
  const segmentSize = Math.min(options.segmentSize ?? 64 * 1024 * 1024, Math.floor(options.maxSize / 4));
  const writer = new SegmentWriter({ directory: `${root}/${id}`, fileSystem, segmentSize, log, now });
  const checkpoint = { position: { segment: 0, offset: 0 }, unfinished: [], dropped: [], ledger: emptyLedger() };
  const live = new Journal(id, context, lock, writer, checkpoint);
  return new Spool({ whenFull: 'block', ...options, segmentSize }, context, takeLock, writer, live);
}

/** What came in, until it is delivered. */
export class Spool implements AsyncDisposable {
  /** This life's own directory. */
  readonly live: Journal;
  readonly #maxSize: number;
  /** It makes room by itself, by dropping what is oldest. */
  readonly dropsOldest: boolean;
  readonly #context: JournalContext;
  readonly #takeLock: TakeLock;
  readonly #writer: SegmentWriter;
  readonly #orphans = new Map<string, Journal>();
  readonly #segmentSize: number;
  readonly #watch: FillWatch;
  readonly #told: Rarely;
  #dropping: Promise<void> | undefined;
  #pending = 0;
  #failedUntil = 0;

  constructor(
    { maxSize, segmentSize, whenFull }: Required<Pick<SpoolOptions, 'maxSize' | 'segmentSize' | 'whenFull'>>,
    context: JournalContext,
    takeLock: TakeLock,
    writer: SegmentWriter,
    live: Journal,
  ) {
    this.#maxSize = maxSize;
    this.#segmentSize = segmentSize;
    this.dropsOldest = whenFull === 'drop-oldest';
    this.#watch = new FillWatch(maxSize, context.log);
    this.#told = new Rarely(context.log);
    this.#context = context;
    this.#takeLock = takeLock;
    this.#writer = writer;
    this.live = live;
  }

  /** Resolves when the block is durable. @throws {SpoolError} it is not in the spool. */
  async append(block: Block): Promise<void> {
    if (this.#overfull) {
      this.#makeRoom();
      throw new SpoolError('full', `the spool is full: ${this.size} of ${this.#maxSize} bytes`);
    }
    this.#pending += block.payload.length;
    try {
      await this.#writer.append(block);
    } catch (error) {
      // Whether the disk takes something again, the next attempt finds out; but not at once.
      if (error instanceof SpoolError && error.code !== 'closed') this.#failedUntil = performance.now() + 1000;
      if (error instanceof SpoolError && error.code === 'full') this.#makeRoom(true);
      throw error;
    } finally {
      this.#pending -= block.payload.length;
    }
    this.#watch.note(this.size);
    this.#makeRoom();
  }

  /** Where that is the policy: drops the oldest segments until there is room for one more; on a full disk at least one. */
  #makeRoom(diskFull = false): void {
    const lacksRoom = (): boolean => this.size > this.#maxSize - this.#segmentSize;
    if (!this.dropsOldest || this.#dropping !== undefined || !(diskFull || lacksRoom())) return;
    this.#dropping = this.#drop(diskFull, lacksRoom)
      .catch((error: unknown) =>
        this.#context.log.error({ err: error }, 'the spool is full, and nothing can be dropped'),
      )
      .finally(() => (this.#dropping = undefined));
  }

  async #drop(diskFull: boolean, lacksRoom: () => boolean): Promise<void> {
    let [bytes, records, first] = [0, 0, diskFull];
    for (const journal of [...this.#orphans.values(), this.live]) {
      while (first || lacksRoom()) {
        const dropped = await journal.dropOldest();
        if (dropped === undefined) break;
        bytes += dropped.bytes;
        records += dropped.records;
        first = false;
      }
    }
    if (bytes === 0) return;
    this.#told.warn('dropped', { bytes, records }, 'the spool is full: what has waited longest was dropped');
  }

  /** Bytes of all files that this process answers for. */
  get size(): number {
    return this.journals.reduce((sum, { size }) => sum + size, 0);
  }

  /** How much of its size is taken: 1 is all. */
  get level(): number {
    return this.size / this.#maxSize;
  }

  /** Whether nothing is taken at the moment. */
  get full(): boolean {
    return this.#overfull || performance.now() < this.#failedUntil;
  }

  /** The last block may go beyond the bound: so whether one is taken never depends on its length. */
  get #overfull(): boolean {
    return this.size + this.#pending >= this.#maxSize;
  }

  /** Resolves when something may be taken again. Rejects when the signal aborts. */
  async untilWritable(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.full) {
      this.#makeRoom();
      await sleep(50, undefined, { signal });
    }
  }

  /** The directories that this process answers for. */
  get journals(): readonly Journal[] {
    return [this.live, ...this.#orphans.values()];
  }

  /** Bytes in `quarantine/`, of all processes. */
  quarantineSize(): Promise<number> {
    return sizeOfQuarantine(this.#context);
  }

  /** The ledgers of the directories that this process answers for, by their names. */
  get ledgers(): Readonly<Record<string, Ledger>> {
    return Object.fromEntries(this.journals.map(({ id, ledger }) => [id, ledger]));
  }

  get totals(): SpoolTotals {
    return this.totalsOf([this.ledgers]);
  }

  /** The totals over the directories that are gone, and those that processes answer for. */
  totalsOf(processes: readonly Readonly<Record<string, Ledger>>[]): SpoolTotals {
    const sum = this.#context.past.totalWith(Object.assign({}, ...processes));
    const { committedBytes, readBytes, droppedBytes, quarantinedBytes } = sum;
    return { ...sum, unreadBytes: committedBytes - readBytes - droppedBytes - quarantinedBytes };
  }

  /**
   * Takes over the directories of processes that are dead: those that it did not have yet, oldest first. Each is read
   * once; the signal ends that.
   */
  async adopt(signal: AbortSignal): Promise<Journal[]> {
    const { root, fileSystem, past, log } = this.#context;
    const found: Journal[] = [];
    for (const name of (await fileSystem.readdir(root)).toSorted()) {
      if (!/^(?:\.new-)?\d{8}T\d{6}-[0-9a-f]{12}$/.test(name) || name === this.live.id || this.#orphans.has(name))
        continue;
      const lock = await this.#lock(name);
      if (lock === undefined) continue;
      try {
        if (name.startsWith('.new-') || past.has(name)) {
          await discard(fileSystem, `${root}/${name}`, lock);
          continue;
        }
        const journal = await adopt(name, this.#context, lock, signal);
        this.#orphans.set(name, journal);
        found.push(journal);
      } catch (error) {
        lock[Symbol.dispose]();
        if (signal.aborted) break;
        log.error({ err: error, directory: `${root}/${name}` }, 'the spool of a process that ended cannot be read');
      }
    }
    return found;
  }

  async #lock(name: string): Promise<Lock | undefined> {
    const { root, fileSystem, log } = this.#context;
    try {
      return this.#takeLock(`${root}/${name}/${lockName}`);
    } catch (error) {
      const isThere = await fileSystem.stat(`${root}/${name}`).catch(() => undefined);
      // Else it was removed meanwhile.
      if (isThere !== undefined)
        log.error({ err: error, directory: `${root}/${name}` }, 'the lock of a spool directory cannot be taken');
      return undefined;
    }
  }

  /** Ends a directory of another life that is delivered. */
  async retire(journal: Journal): Promise<void> {
    await journal.retire();
    this.#orphans.delete(journal.id);
  }

  /** Takes nothing more; what is being committed is finished. The live directory can be read to its end. */
  close(): Promise<void> {
    return this.#writer.close();
  }

  /** Ends the spool; what is not delivered is left to the next life. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.#dropping;
    for (const journal of this.#orphans.values()) await journal.release();
    await this.live.save();
    if (this.live.size === 0) await this.live.retire();
    else await this.live.release();
    this.#context.past[Symbol.dispose]();
  }
}
