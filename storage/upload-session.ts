import { type Digest, splitDigest } from './digest.ts';
import type { UploadLease } from './driver.ts';
import { RunningHash, type SavedHash } from './hash.ts';
import type { Claim } from './space.ts';
import { formatNote, parseNote, type UploadNote } from './upload-note.ts';

/** Bytes that are gathered before they are written. */
const batchSize = 512 * 1024;

/** Bytes that all uploads of a store gather or write, at most; beyond it each writes what it gets. */
const mostGathered = 128 * 1024 * 1024;

/** How long bytes are gathered, in ms: an upload that goes on, however slowly, is never taken for an idle one. */
const longestGathered = 30_000;

/** A hash in this process, as a lease left it: valid for the lease that inherits from that one. */
export interface LiveHash {
  readonly generation: number;
  hash: RunningHash | undefined;
}

/** A request's hold on an upload. Its bytes are hashed as they come. */
export class UploadSession {
  readonly lease: UploadLease;
  readonly #note: UploadNote;
  readonly #live: LiveHash;
  /** By all uploads. */
  readonly #gathered: { bytes: number };
  /** Of all bytes as the request found them, where that was known. */
  readonly #saved: SavedHash | undefined;
  #hashing = false;

  constructor(lease: UploadLease, note: UploadNote, live: LiveHash, gathered: { bytes: number }) {
    this.#note = note;
    this.#gathered = gathered;
    this.lease = lease;
    this.#live = live;
    if (live.hash?.length !== lease.offset || live.hash.algorithm !== note.algorithm) live.hash = undefined;
    const saved = live.hash?.save() ?? parseNote(lease.note)?.hash;
    this.#saved = saved?.length === lease.offset && algorithmOf(saved) === note.algorithm ? saved : undefined;
  }

  /** Bytes that the upload holds. */
  get offset(): number {
    return this.lease.offset;
  }

  /** Adds a body. Should it break off, or a write fail, what came before is kept and the lease is ended. */
  async absorb(body: AsyncIterable<Uint8Array>, claim: Claim): Promise<void> {
    try {
      await this.#pump(body, claim);
    } catch (error) {
      await this.save().catch(() => undefined);
      throw error;
    }
  }

  /** Keeps the bytes and the hash for later requests. */
  async save(): Promise<void> {
    await this.lease.save(formatNote({ ...this.#note, hash: this.#current() }));
  }

  /** The content's digest. */
  async digest(): Promise<Digest> {
    const known = this.#current();
    if (known !== undefined) return known.digest;
    try {
      return (await this.#hashAgain(RunningHash.start(this.#note.algorithm))).save().digest;
    } catch (error) {
      await this.save().catch(() => undefined);
      throw error;
    }
  }

  /** The hash of all that is there; undefined: it is to be hashed again. */
  #current(): SavedHash | undefined {
    const { hash } = this.#live;
    if (hash?.length === this.offset) return hash.save();
    return this.#saved?.length === this.offset ? this.#saved : undefined;
  }

  /** Writes what comes in large pieces: one is written and hashed while the next one is gathered. */
  async #pump(body: AsyncIterable<Uint8Array>, claim: Claim): Promise<void> {
    let batch: Uint8Array[] = [];
    let size = 0;
    let flushedAt = performance.now();
    let writing = Promise.resolve();
    const flush = async (): Promise<void> => {
      const [before, chunks, bytes] = [writing, batch, size];
      batch = [];
      size = 0;
      writing = before
        .then(() => this.#write(chunks, bytes, claim))
        .finally(() => {
          this.#gathered.bytes -= bytes;
        });
      writing.catch(() => undefined);
      await before;
      flushedAt = performance.now();
    };
    const isDue = (): boolean =>
      size >= batchSize ||
      this.#gathered.bytes > mostGathered ||
      (size > 0 && performance.now() - flushedAt >= longestGathered);
    try {
      for await (const chunk of body) {
        batch.push(chunk);
        size += chunk.length;
        this.#gathered.bytes += chunk.length;
        if (isDue()) await flush();
      }
    } finally {
      if (size > 0) await flush();
      await writing;
    }
  }

  async #write(chunks: readonly Uint8Array[], size: number, claim: Claim): Promise<void> {
    await claim.count(size);
    // Only once: later on it is missing where a newer request has taken it along.
    if (!this.#hashing) this.#live.hash ??= await this.#resume();
    this.#hashing = true;
    const writing = this.lease.append(chunks);
    for (const chunk of chunks) this.#live.hash?.update(chunk);
    await writing;
  }

  async #resume(): Promise<RunningHash> {
    const { algorithm } = this.#note;
    if (this.offset === 0) return RunningHash.start(algorithm);
    const resumed = this.#saved && (await RunningHash.resume(this.#saved));
    return resumed ?? this.#hashAgain(await RunningHash.movable(algorithm));
  }

  async #hashAgain(hash: RunningHash): Promise<RunningHash> {
    for await (const piece of this.lease.read()) hash.update(piece);
    return hash;
  }
}

function algorithmOf({ digest }: SavedHash): string {
  return splitDigest(digest).algorithm;
}
