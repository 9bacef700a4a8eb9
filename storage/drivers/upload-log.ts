import type { FileHandle, FileSystem } from './file-system.ts';
import { unlessAbsent } from './files.ts';

/*
 * An unfinished upload has a log, and its bytes beside it:
 *
 *   <id>            what happened to it, a JSON object a line
 *   <id>.data.<n>   the bytes, in a file that was begun under the n-th lease; the log names it
 *
 * Lines are only ever added to a log, at its end as it is then (O_APPEND): so all processes see them in one order, which
 * decides between them.
 *
 *   {"generation":n,"offset":…,"file":…,"note":…}   the n-th lease is over, and left this; 0: the upload began. It counts
 *                                                   unless a later lease was taken before
 *   {"lease":n,"by":…}                              the n-th lease was taken, if nobody had it yet
 *
 * What is no such line says nothing: a write that the system cut short, or a power cut tore. The log is not synced: a power
 * cut may lose some of it, and the upload with it; what a line says of the bytes was synced before it was written.
 */

/** What a lease left behind. */
export interface UploadState {
  /** The lease; 0 at first. */
  readonly generation: number;
  /** Bytes of the data that count. */
  readonly offset: number;
  /** The data's file; absent while there is none. */
  readonly file?: string;
  readonly note: string;
}

interface Taken {
  readonly lease: number;
  /** Who took it. */
  readonly by: string;
}

/** What a log says. */
export interface UploadHistory {
  readonly state: UploadState;
  /** The lease that was taken last; absent: none was. */
  readonly taken?: Taken;
}

/** Bytes of a log's end that tell how the upload stands, unless many leases were taken and none has left anything. */
const enough = 16 * 1024;

/** Bytes of a log that are looked at, at most. */
const most = 4 * 1024 * 1024;

/** Begins a log. */
export async function beginLog(files: FileSystem, path: string, note: string): Promise<void> {
  const handle = await files.open(path, 'ax');
  try {
    await add(handle, { generation: 0, offset: 0, note });
  } finally {
    await handle.close();
  }
}

/** Undefined: there is no such log, or a power cut tore it. */
export async function readLog(files: FileSystem, path: string): Promise<UploadHistory | undefined> {
  const handle = await unlessAbsent(files.open(path, 'r'));
  if (handle === undefined) return undefined;
  try {
    const stats = await handle.stat();
    return stats.isFile() ? await readHistory(handle, stats.size) : undefined;
  } finally {
    await handle.close();
  }
}

/** An upload's log, while one has a lease of it. */
export class UploadLog {
  readonly #handle: FileHandle;
  /** Bytes that the log had when it was known to be this one's. */
  #length = 0;
  #taken: Taken = { lease: 0, by: '' };

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /**
   * Takes the next lease. `by`: what nobody else calls himself. `before` is the history up to there.
   * Undefined: there is no such upload.
   */
  static async take(
    files: FileSystem,
    path: string,
    by: string,
  ): Promise<{ log: UploadLog; lease: number; before: UploadHistory } | undefined> {
    const handle = await unlessAbsent(files.openToAdd(path));
    if (handle === undefined) return undefined;
    const log = new UploadLog(handle);
    try {
      const taken = await log.#take(by);
      if (taken === undefined) await handle.close();
      return taken && { log, ...taken };
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #take(by: string): Promise<{ lease: number; before: UploadHistory } | undefined> {
    for (;;) {
      const { size } = await this.#handle.stat();
      const before = await readHistory(this.#handle, size);
      if (before === undefined) return undefined;
      this.#taken = { lease: latestLease(before) + 1, by };
      this.#length = size + (await add(this.#handle, this.#taken));
      // Where others have added something meanwhile, somebody may have been first.
      const held = await this.isHeld();
      if (held === undefined) return undefined;
      if (held) return { lease: this.#taken.lease, before };
    }
  }

  /** Whether nobody has taken a later lease. Undefined: the upload is over. */
  async isHeld(): Promise<boolean | undefined> {
    const { size, nlink } = await this.#handle.stat();
    if (nlink === 0) return undefined;
    if (size === this.#length) return true;
    const now = await readHistory(this.#handle, size);
    if (now?.taken?.lease !== this.#taken.lease || now.taken.by !== this.#taken.by) return false;
    this.#length = size;
    return true;
  }

  /** Says what the lease leaves behind. */
  async leave(state: Omit<UploadState, 'generation'>): Promise<void> {
    await add(this.#handle, { generation: this.#taken.lease, ...state });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** The number of the latest lease; 0: there was none. */
export function latestLease({ state, taken }: UploadHistory): number {
  return Math.max(state.generation, taken?.lease ?? 0);
}

/** Adds a line, whole, in one write. @returns its length in bytes */
async function add(handle: FileHandle, line: UploadState | Taken): Promise<number> {
  // The line break at its start ends what somebody else could not write to its end.
  const bytes = Buffer.from(`\n${JSON.stringify(line)}\n`);
  for (;;) {
    const { bytesWritten } = await handle.writev([bytes]);
    if (bytesWritten === bytes.length) return bytesWritten;
    if (bytesWritten === 0) throw new Error('the system wrote nothing, and said no reason');
  }
}

async function readHistory(handle: FileHandle, size: number): Promise<UploadHistory | undefined> {
  const end = await readSpan(handle, Math.max(0, size - enough), size);
  return historyOf(end) ?? (size > enough && size <= most ? historyOf(await readSpan(handle, 0, size)) : undefined);
}

async function readSpan(handle: FileHandle, start: number, end: number): Promise<string> {
  const bytes = Buffer.allocUnsafe(end - start);
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, start + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.toString('utf8', 0, length);
}

/** Undefined: it needs what stands before. */
function historyOf(text: string): UploadHistory | undefined {
  let taken: Taken | undefined;
  let state: UploadState | undefined;
  for (const part of text.split('\n')) {
    const line = part === '' ? undefined : parse(part);
    if (line === undefined) continue;
    if ('lease' in line) {
      if (line.lease > Math.max(taken?.lease ?? 0, state?.generation ?? 0)) taken = line;
    } else if (line.generation === (taken?.lease ?? 0)) state = line;
  }
  return state && (taken === undefined ? { state } : { state, taken });
}

function parse(text: string): UploadState | Taken | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if ('lease' in value && 'by' in value) {
    const { lease, by } = value;
    return isCount(lease) && typeof by === 'string' ? { lease, by } : undefined;
  }
  if (!('generation' in value) || !('offset' in value) || !('note' in value)) return undefined;
  const { generation, offset, note } = value;
  if (!isCount(generation) || !isCount(offset) || typeof note !== 'string') return undefined;
  const file = 'file' in value ? value.file : undefined;
  if (file === undefined) return { generation, offset, note };
  return typeof file === 'string' && isDataFile(file) ? { generation, offset, note, file } : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** The name of the data that a lease begins. */
export function dataFile(id: string, generation: number): string {
  return `${id}.data.${generation}`;
}

/** The upload whose data a file's name says it is; undefined: it is no data's. */
export function uploadOfData(name: string): string | undefined {
  return /^([^./]+)\.data\.\d{1,15}$/.exec(name)?.[1];
}

function isDataFile(name: string): boolean {
  return uploadOfData(name) !== undefined;
}

/** Ends an upload: it is unknown once its log is removed, and then what else there is of it. */
export async function removeUpload(files: FileSystem, folder: string, names: Iterable<string>): Promise<void> {
  for (const name of names) await unlessAbsent(files.unlink(`${folder}/${name}`));
}
