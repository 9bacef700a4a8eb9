import { framesOf } from '../parse/frames.ts';
import { type FileSystem, hasCode, replaceFile } from './file-system.ts';
import { readStart } from './read-file.ts';
import { readSegment } from './reader.ts';
import { headerLength, segmentName } from './segment.ts';
import type { WrittenSegment } from './writer.ts';

/** What was in a segment: bytes of payload, and frames that are not empty. */
export interface Dropped {
  readonly bytes: number;
  readonly records: number;
}

/** Counts what a segment holds that is dropped. */
export async function countDropped(
  from: { readonly directory: string; readonly fileSystem: FileSystem },
  segment: WrittenSegment,
): Promise<Dropped> {
  let [bytes, records] = [0, 0];
  for await (const item of readSegment(from, segment)) {
    // Of what is damaged nobody knows what was payload.
    bytes += item.kind === 'block' ? item.block.payload.length : item.length;
    if (item.kind === 'damage') continue;
    for (const { start, end } of framesOf(item.block)) if (end > start) records += 1;
  }
  return { bytes, records };
}

/**
 * Erases a segment's file. Where one before it is kept, its header is kept too: it alone says how much of that one is
 * valid.
 */
export async function eraseSegment(
  fileSystem: FileSystem,
  directory: string,
  { number, keepHeader }: { readonly number: number; readonly keepHeader: boolean },
): Promise<void> {
  const name = segmentName(number);
  try {
    if (!keepHeader) return await fileSystem.unlink(`${directory}/${name}`);
    await replaceFile(fileSystem, directory, name, await readStart(fileSystem, `${directory}/${name}`, headerLength));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
