import { type Digest, splitDigest } from './digest.ts';
import type { UploadLease } from './driver.ts';
import { type HashedMemory, RunningHash, type SavedHash, type UploadHash } from './hash.ts';
import type { HashThread } from './hash-thread.ts';
import type { Claim } from './space.ts';
import { type Batch, type BatchMeans, type UploadBody, writeInBatches } from './upload-batches.ts';
import { formatNote, parseNote, type UploadNote } from './upload-note.ts';

/** What the uploads of a store share. */
export interface UploadMeans extends BatchMeans {
  readonly thread: HashThread;
}

/** A hash in this process, as a lease left it: valid for the lease that inherits from that one. */
export interface LiveHash {
  readonly generation: number;
  hash: UploadHash | undefined;
}

/** A request's hold on an upload. Its bytes are hashed as they come. */
export class UploadSession {
  readonly lease: UploadLease;
  readonly #note: UploadNote;
  readonly #live: LiveHash;
  readonly #means: UploadMeans;
  /** Of all bytes as the request found them, where the note says it. */
  readonly #saved: SavedHash | undefined;
  #hashing = false;

  constructor(lease: UploadLease, note: UploadNote, live: LiveHash, means: UploadMeans) {
    this.#note = note;
    this.#means = means;
    this.lease = lease;
    this.#live = live;
    if (live.hash?.length !== lease.offset || live.hash.algorithm !== note.algorithm) live.hash = undefined;
    const saved = parseNote(lease.note)?.hash;
    this.#saved = saved?.length === lease.offset && algorithmOf(saved) === note.algorithm ? saved : undefined;
  }

  /** Bytes that the upload holds. */
  get offset(): number {
    return this.lease.offset;
  }

  /** Adds a body. Should it break off, or a write fail, what came before is kept and the lease is ended. */
  async absorb(body: UploadBody, claim: Claim): Promise<void> {
    try {
      await writeInBatches(body, this.#means, (batch) => this.#write(batch, claim));
    } catch (error) {
      await this.save().catch(() => undefined);
      throw error;
    }
  }

  /** Keeps the bytes and the hash for later requests. */
  async save(): Promise<void> {
    await this.lease.save(formatNote({ ...this.#note, hash: await this.#current() }));
  }

  /** The content's digest. */
  async digest(): Promise<Digest> {
    const known = await this.#current();
    if (known !== undefined) return known.digest;
    try {
      const hash = await this.#hashAgain(this.#means.thread.start(this.#note.algorithm));
      return (await hash.save()).digest;
    } catch (error) {
      await this.save().catch(() => undefined);
      throw error;
    }
  }

  /** The hash of all that is there; undefined: it is to be hashed again. */
  async #current(): Promise<SavedHash | undefined> {
    const { hash } = this.#live;
    try {
      if (hash?.length === this.offset) return await hash.save();
    } catch {
      // The thread that hashed has ended.
    }
    return this.#saved?.length === this.offset ? this.#saved : undefined;
  }

  async #write(
    { chunks, size, memory }: Batch,
    claim: Claim,
  ): Promise<{ hashed: HashedMemory | Promise<HashedMemory> }> {
    await claim.count(size);
    // Only once: later on it is missing where a newer request has taken it along.
    if (!this.#hashing) this.#live.hash ??= await this.#resume(memory !== undefined);
    this.#hashing = true;
    await this.lease.append(chunks);
    const { hash } = this.#live;
    return { hashed: hash === undefined ? memory : hash.update(chunks, memory) };
  }

  /** `isLarge`: another thread hashes what it costs this one too much time to. */
  async #resume(isLarge: boolean): Promise<UploadHash> {
    const hashes = isLarge ? this.#means.thread : RunningHash;
    const { algorithm } = this.#note;
    if (this.offset === 0) return hashes.start(algorithm);
    const resumed = this.#saved && (await hashes.resume(this.#saved));
    return resumed ?? this.#hashAgain(await hashes.movable(algorithm));
  }

  async #hashAgain(hash: UploadHash): Promise<UploadHash> {
    for await (const piece of this.lease.read()) await hash.update([piece]);
    return hash;
  }
}

function algorithmOf({ digest }: SavedHash): string {
  return splitDigest(digest).algorithm;
}
