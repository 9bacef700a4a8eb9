import { createHash } from 'node:crypto';
import { type Digest, splitDigest } from './digest.ts';
import type { Driver } from './driver.ts';
import { hasCode } from './drivers/files.ts';
import {
  blobInQuarantine,
  blobKey,
  blobOfKey,
  blobsFolder,
  quarantineFolder,
  quarantineKey,
  scrubKey,
} from './layout.ts';
import { Pace } from './pace.ts';

const longestKey = 1024;

/** How often the position is saved, in ms. */
const savedEvery = 10_000;

/** How a store is scrubbed. */
export interface ScrubOptions {
  /** Bytes a second, at most. */
  readonly rate: number;
  /** From the start, though a scrub was broken off. */
  readonly restart?: boolean;
  /** Nothing is changed: rotten blobs stay where they are, and no position is kept. It reads all from the start. */
  readonly readOnly?: boolean;
  /** Breaks it off; the next one goes on from there. */
  readonly signal: AbortSignal;
  /** Is told of each blob that was read. */
  readonly onBlob?: (digest: Digest, read: ScrubCount) => void;
}

/** What a scrub has read so far. */
export interface ScrubCount {
  readonly blobs: number;
  readonly bytes: number;
}

/** What a scrub did. */
export interface ScrubResult {
  /** False: it was broken off. */
  readonly finished: boolean;
  readonly read: ScrubCount;
  /** Blobs that were moved to the quarantine, or would have been. */
  readonly rotten: readonly Digest[];
  /** Whole blobs that lay in the quarantine, and are back. */
  readonly restored: readonly Digest[];
  /** Keys among those of blobs that are none: they were left alone. */
  readonly odd: readonly string[];
}

/**
 * Reads every blob, and moves one whose content is not what its digest says to the quarantine: it is unknown then, so that
 * the next push of its image sends it again. Beside it, any process may work with the store.
 *
 * A push may replace a rotten blob by a whole one at any time. A move cannot be made to depend on what it moves:
 *
 *   read rotten, push, read again      A blob is believed to be rotten only when it was read twice.
 *   read rotten twice, push, move      The whole blob is moved. What was moved is read again, and put back.
 *   copied, push, deleted              Where a move is no rename, it deletes what it has copied, not what came since.
 *   moved whole, push, put back        One whole blob replaces another.
 *   moved whole, pull                  The blob is unknown for as long as it takes to read it again.
 *   moved whole, crash                 The next scrub puts it back: as it starts it reads what lies in the quarantine. A
 *                                      move interrupted by a power cut leaves the old key, the new one, or both.
 *   moved rotten, push                 The blob is there again. The next scrub drops what lies in the quarantine.
 *   two scrubs                         The second move finds nothing. Either puts back what is whole.
 */
export async function scrub(driver: Driver, options: ScrubOptions): Promise<ScrubResult> {
  return new Scrub(driver, options).run();
}

/** The blobs that lie in the quarantine and that no push has brought again. */
export async function lostBlobs(driver: Driver): Promise<Set<Digest>> {
  const lost = new Set<Digest>();
  for await (const { key } of driver.walk(quarantineFolder)) {
    const digest = blobInQuarantine(key);
    if (digest !== undefined && (await driver.stat(blobKey(digest))) === undefined) lost.add(digest);
  }
  return lost;
}

class Scrub {
  readonly #driver: Driver;
  readonly #options: ScrubOptions;
  readonly #pace: Pace;
  #read: ScrubCount = { blobs: 0, bytes: 0 };
  readonly #rotten: Digest[] = [];
  readonly #restored: Digest[] = [];
  readonly #odd: string[] = [];

  constructor(driver: Driver, options: ScrubOptions) {
    this.#driver = driver;
    this.#options = options;
    this.#pace = new Pace(options.rate);
  }

  async run(): Promise<ScrubResult> {
    const finished = await this.#finish();
    return { finished, read: this.#read, rotten: this.#rotten, restored: this.#restored, odd: this.#odd };
  }

  /** False: it was broken off. */
  async #finish(): Promise<boolean> {
    const { restart = false, readOnly = false } = this.#options;
    let position = restart || readOnly ? '' : await this.#position();
    try {
      if (!readOnly) await this.#tidyQuarantine();
      let savedAt = performance.now();
      for await (const { key } of this.#driver.walk(blobsFolder, position)) {
        await this.#check(key);
        position = key;
        if (performance.now() - savedAt < savedEvery) continue;
        await this.#save(position);
        savedAt = performance.now();
      }
    } catch (error) {
      if (!this.#options.signal.aborted) throw error;
      await this.#save(position);
      return false;
    }
    if (!readOnly) await this.#driver.delete(scrubKey);
    return true;
  }

  async #save(position: string): Promise<void> {
    if (this.#options.readOnly !== true) await this.#driver.put(scrubKey, Buffer.from(position));
  }

  async #position(): Promise<string> {
    return String((await this.#driver.get(scrubKey, longestKey)) ?? '');
  }

  async #tidyQuarantine(): Promise<void> {
    for await (const { key } of this.#driver.walk(quarantineFolder)) {
      const digest = blobInQuarantine(key);
      if (digest === undefined) continue;
      if ((await this.#driver.stat(blobKey(digest))) !== undefined) await this.#driver.delete(key);
      else if ((await this.#condition(key, digest)) === 'whole') await this.#restore(digest);
    }
  }

  async #check(key: string): Promise<void> {
    const digest = blobOfKey(key);
    if (digest === undefined) {
      this.#odd.push(key);
      return;
    }
    if ((await this.#condition(key, digest)) === 'rotten' && (await this.#condition(key, digest)) === 'rotten') {
      if (this.#options.readOnly === true) this.#rotten.push(digest);
      else await this.#putAside(key, digest);
    }
    this.#read = { ...this.#read, blobs: this.#read.blobs + 1 };
    this.#options.onBlob?.(digest, this.#read);
  }

  async #putAside(key: string, digest: Digest): Promise<void> {
    const aside = quarantineKey(digest);
    if (!(await this.#driver.move(key, aside))) return;
    if ((await this.#condition(aside, digest)) === 'whole') await this.#restore(digest);
    else this.#rotten.push(digest);
  }

  async #restore(digest: Digest): Promise<void> {
    if (await this.#driver.move(quarantineKey(digest), blobKey(digest))) this.#restored.push(digest);
  }

  async #condition(key: string, digest: Digest): Promise<'whole' | 'rotten' | 'absent'> {
    const found = await this.#driver.stat(key);
    if (found === undefined) return 'absent';
    const { algorithm, hex } = splitDigest(digest);
    const hash = createHash(algorithm);
    let left = found.size;
    try {
      for await (const piece of this.#driver.read(key, { start: 0, end: found.size - 1 })) {
        hash.update(piece);
        left -= piece.length;
        this.#read = { ...this.#read, bytes: this.#read.bytes + piece.length };
        await this.#pace.spend(piece.length, this.#options.signal);
      }
    } catch (error) {
      if (this.#options.signal.aborted) throw error;
      // What the disk cannot read is as good as wrong.
      if (hasCode(error, 'EIO')) return 'rotten';
      if ((await this.#driver.stat(key)) === undefined) return 'absent';
      // Where all bytes came, it is a checksum of the driver's own that is wrong.
      if (left > 0) throw error;
    }
    return hash.digest('hex') === hex ? 'whole' : 'rotten';
  }
}
