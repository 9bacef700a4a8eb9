import { crc32 } from 'node:zlib';
import { type FileSystem, hasCode, replaceFile } from './file-system.ts';
import { emptyLedger, type Ledger, ledgerKeys } from './ledger.ts';
import type { Position } from './reader.ts';

/** A line that began before a place, and whose rest comes after it. */
export interface Unfinished {
  /** The same for all pieces of the line. */
  readonly key: string;
  readonly connection: string;
  /** Where the block of its first piece starts. */
  readonly since: Position;
  /** What its pieces before the place count as, in bytes. */
  readonly size: number;
  /** Where the block of its last piece before the place starts, and when that arrived: µs since 1970. */
  readonly last: Position;
  readonly arrivedAt: number;
}

/** How far a directory is delivered, and its ledger up to there. */
export interface Checkpoint {
  readonly position: Position;
  /** Lines that are delivered, though their rest lies behind the position: whoever reads on steps over that. */
  readonly unfinished: readonly Unfinished[];
  /** Numbers of segments that were dropped, and whose files may still be there. The ledger counts them. */
  readonly dropped: readonly number[];
  readonly ledger: Ledger;
}

const name = 'checkpoint';

/** Saves a checkpoint durably: two lines, the JSON and its CRC-32 in hex. */
export async function saveCheckpoint(fileSystem: FileSystem, directory: string, checkpoint: Checkpoint): Promise<void> {
  const json = JSON.stringify(checkpoint);
  await replaceFile(fileSystem, directory, name, Buffer.from(`${json}\n${crc32(json).toString(16)}\n`));
}

/** Reads the checkpoint; where there is none, or it is damaged, the start: what was delivered is delivered again. */
export async function loadCheckpoint(fileSystem: FileSystem, directory: string): Promise<Checkpoint> {
  const start: Checkpoint = { position: { segment: 0, offset: 0 }, unfinished: [], dropped: [], ledger: emptyLedger() };
  let text: string;
  try {
    text = Buffer.from(await fileSystem.readFile(`${directory}/${name}`)).toString();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return start;
    throw error;
  }
  const [json = '', checksum] = text.split('\n');
  if (checksum !== crc32(json).toString(16)) return start;
  const { position, unfinished, dropped, ledger }: Checkpoint = { ...start, ...JSON.parse(json) };
  for (const key of ledgerKeys) start.ledger[key] = ledger[key];
  return { position, unfinished, dropped, ledger: start.ledger };
}
