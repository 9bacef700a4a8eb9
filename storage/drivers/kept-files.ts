import type { FileSystem, Stats } from './file-system.ts';
import { readWhole, unlessAbsent } from './files.ts';

/** Bytes of a file that is kept, at most, and of all of them; each takes some for itself. */
const [largest, mostKept, overhead] = [64 * 1024, 16 * 1024 * 1024, 1024] as const;

/** How much later than a change another one surely has another time, in ms: the clock of FAT has two seconds. */
export const coarsestClock = 2000;

/**
 * File systems of this machine's own (statfs(2)): ext4, XFS, Btrfs, ZFS, F2FS, tmpfs, overlayfs. Of those that lie
 * elsewhere a look may answer what it knew some seconds ago; only to open a file asks them.
 */
const ownFileSystems: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x2fc12fc1, 0xf2f52010, 0x01021994, 0x794c7630,
]);

interface Kept {
  readonly bytes: Uint8Array;
  readonly stats: Stats;
}

/**
 * Small files, and what they held when they were read. One look at a file tells whether it is still the same; then it need
 * not be opened again. What was changed at the time of its reading is not kept: a further change may have gotten the same
 * time.
 */
export class KeptFiles {
  readonly #files: FileSystem;
  readonly #isOwn: boolean;
  /** The one that was not asked for the longest comes first. */
  readonly #kept = new Map<string, Kept>();
  #size = 0;

  /** @param type Of the file system, as `statfs` says. */
  constructor(files: FileSystem, type: number) {
    this.#files = files;
    this.#isOwn = ownFileSystems.has(type);
  }

  /** A whole file, which is not to be changed; undefined if it is absent or holds more than `limit` bytes. */
  async read(path: string, limit: number): Promise<Uint8Array | undefined> {
    const kept = this.#kept.get(path);
    if (kept !== undefined) {
      const stats = await unlessAbsent(this.#files.stat(path));
      this.#drop(path);
      if (stats === undefined) return undefined;
      if (isSame(stats, kept.stats)) {
        this.#keep(path, kept);
        return kept.bytes.length <= limit ? kept.bytes : undefined;
      }
    }
    const found = await readWhole(this.#files, path, limit);
    if (found !== undefined && this.#isOwn && found.bytes.length <= largest) {
      if (Date.now() - found.stats.ctimeMs > coarsestClock) this.#keep(path, found);
    }
    return found?.bytes;
  }

  #keep(path: string, kept: Kept): void {
    this.#drop(path);
    this.#kept.set(path, kept);
    this.#size += kept.bytes.length + overhead;
    for (const oldest of this.#kept.keys()) {
      if (this.#size <= mostKept) break;
      this.#drop(oldest);
    }
  }

  #drop(path: string): void {
    const kept = this.#kept.get(path);
    if (kept === undefined) return;
    this.#kept.delete(path);
    this.#size -= kept.bytes.length + overhead;
  }
}

/** Whether nobody has changed a file, or put another in its place. */
function isSame(one: Stats, other: Stats): boolean {
  return (
    one.ino === other.ino &&
    one.ctimeMs === other.ctimeMs &&
    one.mtimeMs === other.mtimeMs &&
    one.size === other.size &&
    one.isFile()
  );
}
