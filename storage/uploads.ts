import { createHash, randomUUID } from 'node:crypto';
import { BoundedMap } from './bounded-map.ts';
import { type Digest, splitDigest } from './digest.ts';
import type { Driver, UploadLease } from './driver.ts';
import { DigestInvalidError, StorageError, UploadOutOfOrderError } from './errors.ts';
import { asSavedHash, RunningHash, type SavedHash } from './hash.ts';
import { blobKey, layerLink } from './layout.ts';
import { writeLink } from './links.ts';
import type { RepositoryName } from './names.ts';

/** Bytes that are gathered before they are written. */
const batchSize = 512 * 1024;

/** Bytes that all uploads of a store gather, at most; beyond it each writes what it gets. */
const mostGathered = 128 * 1024 * 1024;

/** What stands in an upload's note. */
interface Note {
  readonly name: string;
  /** Of the bytes up to its length; believed only if that is all of them. */
  readonly hash: SavedHash | undefined;
}

/** A hash in this process, as a lease left it: valid for the lease that inherits from that one. */
interface LiveHash {
  readonly generation: number;
  hash: RunningHash | undefined;
}

/**
 * Upload sessions. Each session's bytes are hashed as they come. The hash lives here between requests; what is saved with
 * the session is enough to finish an upload elsewhere without reading it again.
 */
export class Uploads {
  readonly #driver: Driver;
  readonly #hashes = new BoundedMap<string, LiveHash>(1000);
  readonly #gathered = { bytes: 0 };

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  async create(name: RepositoryName): Promise<{ id: string; offset: number }> {
    const id = randomUUID();
    await this.#driver.uploads.create(id, JSON.stringify({ name }));
    return { id, offset: 0 };
  }

  async status(name: RepositoryName, id: string): Promise<{ id: string; offset: number }> {
    const state = isSessionId(id) ? await this.#driver.uploads.state(id) : undefined;
    if (state === undefined || parseNote(state.note)?.name !== name) throw unknown();
    return { id, offset: state.offset };
  }

  async append(
    name: RepositoryName,
    id: string,
    body: AsyncIterable<Uint8Array>,
    at?: number,
  ): Promise<{ id: string; offset: number }> {
    const session = await this.#open(name, id, at);
    await session.absorb(body);
    await session.save();
    return { id, offset: session.offset };
  }

  async commit(
    name: RepositoryName,
    id: string,
    digest: Digest,
    body: AsyncIterable<Uint8Array> | undefined,
    at?: number,
  ): Promise<{ digest: Digest; size: number }> {
    const session = await this.#open(name, id, at);
    if (body !== undefined) await session.absorb(body);
    const actual = await session.digest(digest);
    const size = session.offset;
    if (actual !== digest) {
      // As registry:2 does: what was sent is not what was meant, so nothing of it is of use.
      await session.lease.abort();
      this.#hashes.delete(id);
      throw new DigestInvalidError(`the upload's content is ${actual}`);
    }
    await session.lease.commit(blobKey(digest));
    this.#hashes.delete(id);
    await writeLink(this.#driver, layerLink(name, digest), digest);
    return { digest, size };
  }

  async cancel(name: RepositoryName, id: string): Promise<void> {
    const session = await this.#open(name, id);
    await session.lease.abort();
    this.#hashes.delete(id);
  }

  /** Takes the session over, unless `at` is not its end. */
  async #open(name: RepositoryName, id: string, at?: number): Promise<Session> {
    // Asked ahead of the lease, so that a mistaken request does not end another one that is right.
    const { offset } = await this.status(name, id);
    if (at !== undefined && at !== offset) throw new UploadOutOfOrderError(offset, at);
    const lease = await this.#driver.uploads.open(id);
    if (lease === undefined) throw unknown();
    const known = this.#hashes.get(id);
    const inherited = known?.generation === lease.inherited ? known.hash : undefined;
    if (known !== undefined) known.hash = undefined;
    const live: LiveHash = { generation: lease.generation, hash: inherited };
    this.#hashes.set(id, live);
    const session = new Session(name, lease, live, this.#gathered);
    if (at !== undefined && at !== lease.offset) {
      await session.save();
      throw new UploadOutOfOrderError(lease.offset, at);
    }
    return session;
  }
}

/** A request's hold on an upload. */
class Session {
  readonly lease: UploadLease;
  readonly #name: RepositoryName;
  readonly #live: LiveHash;
  /** By all uploads. */
  readonly #gathered: { bytes: number };
  /** Of all bytes as the request found them, where that was known. */
  readonly #saved: SavedHash | undefined;
  #hashing = false;

  constructor(name: RepositoryName, lease: UploadLease, live: LiveHash, gathered: { bytes: number }) {
    this.#name = name;
    this.#gathered = gathered;
    this.lease = lease;
    this.#live = live;
    if (live.hash?.length !== lease.offset) live.hash = undefined;
    const saved = live.hash?.save() ?? parseNote(lease.note)?.hash;
    this.#saved = saved?.length === lease.offset ? saved : undefined;
  }

  /** Bytes that the upload holds. */
  get offset(): number {
    return this.lease.offset;
  }

  /** Adds a body. Should it break off, or a write fail, what came before is kept and the lease is ended. */
  async absorb(body: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      await this.#pump(body);
    } catch (error) {
      await this.save().catch(() => undefined);
      throw error;
    }
  }

  /** Keeps the bytes and the hash for later requests. */
  async save(): Promise<void> {
    const hash = this.#current();
    await this.lease.save(JSON.stringify({ name: this.#name, hash }));
  }

  /** The content's digest, by the algorithm of the one that is wanted. */
  async digest(wanted: Digest): Promise<Digest> {
    const { algorithm } = splitDigest(wanted);
    try {
      if (algorithm === 'sha256') return this.#current()?.digest ?? (await this.#hashAgain()).save().digest;
      const hash = createHash(algorithm);
      for await (const piece of this.lease.read()) hash.update(piece);
      return `${algorithm}:${hash.digest('hex')}`;
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
  async #pump(body: AsyncIterable<Uint8Array>): Promise<void> {
    let batch: Uint8Array[] = [];
    let size = 0;
    let writing = Promise.resolve();
    const flush = async (): Promise<void> => {
      try {
        await writing;
        writing = this.#write(batch);
        writing.catch(() => undefined);
      } finally {
        this.#gathered.bytes -= size;
        batch = [];
        size = 0;
      }
    };
    try {
      for await (const chunk of body) {
        batch.push(chunk);
        size += chunk.length;
        this.#gathered.bytes += chunk.length;
        if (size >= batchSize || this.#gathered.bytes > mostGathered) await flush();
      }
    } finally {
      if (size > 0) await flush();
      await writing;
    }
  }

  async #write(chunks: readonly Uint8Array[]): Promise<void> {
    // Only once: later on it is missing where a newer request has taken it along.
    if (!this.#hashing) this.#live.hash ??= await this.#resume();
    this.#hashing = true;
    const writing = this.lease.append(chunks);
    for (const chunk of chunks) this.#live.hash?.update(chunk);
    await writing;
  }

  async #resume(): Promise<RunningHash> {
    if (this.offset === 0) return RunningHash.start();
    return this.#saved?.state === undefined ? this.#hashAgain() : RunningHash.movable(this.#saved);
  }

  async #hashAgain(): Promise<RunningHash> {
    const hash = await RunningHash.movable();
    for await (const piece of this.lease.read()) hash.update(piece);
    return hash;
  }
}

function isSessionId(text: string): boolean {
  return /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(text);
}

function parseNote(text: string): Note | undefined {
  const note: unknown = JSON.parse(text);
  if (typeof note !== 'object' || note === null || !('name' in note) || typeof note.name !== 'string') return undefined;
  return { name: note.name, hash: 'hash' in note ? asSavedHash(note.hash) : undefined };
}

function unknown(): StorageError {
  return new StorageError('UPLOAD_UNKNOWN', 'there is no such upload');
}
