import type { FileSystem } from './file-system.ts';
import { hasCode, readSmall, remove, unlessAbsent, writeAll } from './files.ts';

/*
 * The folder of an unfinished upload:
 *
 *   record       JSON, replaced whole: what a lease left behind when it was released
 *   lease.<n>    empty; made exclusively by whoever takes the n-th lease, who removes those before
 *   data.<n>     the bytes, in a file that was begun under the n-th lease; the record names it
 *
 * The record is not synced: a power cut may lose or empty it, and the upload with it, but never changes it (what is torn
 * is no JSON). What it says of the data was synced before.
 */

/** What a lease left behind. */
export interface UploadRecord {
  /** The lease; 0 at first. */
  readonly generation: number;
  /** Bytes of the data that count. */
  readonly offset: number;
  /** The data's file; absent while there is none. */
  readonly file?: string;
  readonly note: string;
}

const recordLimit = 16 * 1024;

export function leaseFile(folder: string, generation: number): string {
  return `${folder}/lease.${generation}`;
}

/** The name, in its folder, of the data that a lease begins. */
export function dataFile(generation: number): string {
  return `data.${generation}`;
}

/**
 * The leases of which something is there; undefined: there is no such folder. A power cut may have taken a lease's file
 * and left its data, whose name is not to be given to another file.
 */
export async function leases(files: FileSystem, folder: string): Promise<number[] | undefined> {
  const entries = await unlessAbsent(files.readdir(folder, { withFileTypes: true }));
  return entries?.flatMap(({ name }) => {
    const [, generation] = /^(?:lease|data)\.(\d{1,15})$/.exec(name) ?? [];
    return generation === undefined ? [] : [Number(generation)];
  });
}

/** Undefined: there is no such upload, or a power cut tore its record. */
export async function readRecord(files: FileSystem, folder: string): Promise<UploadRecord | undefined> {
  const bytes = await readSmall(files, `${folder}/record`, recordLimit);
  if (bytes === undefined) return undefined;
  try {
    return asRecord(JSON.parse(Buffer.from(bytes).toString()));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export async function writeRecord(files: FileSystem, folder: string, record: UploadRecord): Promise<void> {
  const temporary = `${folder}/record.${record.generation}`;
  try {
    const handle = await files.open(temporary, 'w');
    try {
      await writeAll(handle, [Buffer.from(JSON.stringify(record))], 0);
    } finally {
      await handle.close();
    }
    await files.rename(temporary, `${folder}/record`);
  } catch (error) {
    await remove(files, temporary).catch(() => undefined);
    throw error;
  }
}

/** Ends an upload: it is unknown once its record is removed, and then the rest is. */
export async function removeUpload(files: FileSystem, folder: string): Promise<void> {
  await unlessAbsent(files.unlink(`${folder}/record`));
  try {
    await remove(files, folder);
  } catch (error) {
    // Another process was about to go on with it; what that has made meanwhile is only litter.
    if (!hasCode(error, 'ENOTEMPTY')) throw error;
  }
}

function asRecord(value: unknown): UploadRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('generation' in value) || !('offset' in value) || !('note' in value)) return undefined;
  const { generation, offset, note } = value;
  if (!isCount(generation) || !isCount(offset) || typeof note !== 'string') return undefined;
  const file = 'file' in value ? value.file : undefined;
  if (file === undefined) return { generation, offset, note };
  return typeof file === 'string' && /^data\.\d+$/.test(file) ? { generation, offset, note, file } : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
