import type { FileSystem } from './file-system.ts';
import { readStart } from './read-file.ts';
import { headerLength, recoverHeader, type SegmentHeader, segmentName, segmentNumber } from './segment.ts';
import type { WrittenSegment } from './writer.ts';

/** What a dead process left in a directory. */
export interface Remains {
  /** Oldest first; each as far as it may be read. */
  readonly segments: WrittenSegment[];
  /** Files without a whole header: nothing of them can be read. */
  readonly damaged: { readonly name: string; readonly size: number }[];
  /** Files of which nothing was committed. */
  readonly empty: string[];
}

/**
 * Looks at the segments of a dead process. How much of one is valid, its successor's header says; of the last one, all
 * that is whole. What lies between a segment and its named predecessor was never committed.
 */
export async function inspectSegments(fileSystem: FileSystem, directory: string): Promise<Remains> {
  const remains: Remains = { segments: [], damaged: [], empty: [] };
  const numbers = (await fileSystem.readdir(directory)).map(segmentNumber).filter((number) => number !== undefined);
  let successor: SegmentHeader | undefined;
  for (const number of numbers.toSorted((a, b) => b - a)) {
    const name = segmentName(number);
    const { size } = await fileSystem.stat(`${directory}/${name}`);
    const header = recoverHeader(await readStart(fileSystem, `${directory}/${name}`, headerLength));
    if (successor !== undefined && number > (successor.predecessor?.number ?? 0)) {
      remains.empty.push(name);
      continue;
    }
    if (header === undefined) {
      remains.damaged.push({ name, size });
      continue;
    }
    const { predecessor } = successor ?? {};
    const length = predecessor?.number === number ? Math.min(size, predecessor.length) : size;
    const identity = { id: header.id, base: header.base };
    if (length > headerLength) remains.segments.unshift({ number, identity, length, sealed: true });
    else remains.empty.push(name);
    successor = header;
  }
  return remains;
}
