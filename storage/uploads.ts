import { randomUUID } from 'node:crypto';
import { BatchMemory } from './batch-memory.ts';
import { BoundedMap } from './bounded-map.ts';
import { type Algorithm, type Digest, splitDigest } from './digest.ts';
import type { Driver } from './driver.ts';
import { DigestInvalidError, StorageError, UploadOutOfOrderError } from './errors.ts';
import { HashThread } from './hash-thread.ts';
import { blobKey, layerLink } from './layout.ts';
import { writeLink } from './links.ts';
import type { RepositoryName } from './names.ts';
import { expireSessions } from './sessions.ts';
import type { Space } from './space.ts';
import type { UploadBody } from './upload-batches.ts';
import { formatNote, parseNote, type UploadNote } from './upload-note.ts';
import { type LiveHash, type UploadMeans, UploadSession } from './upload-session.ts';

/** How long a session may be idle while others are refused for want of the space that it takes. In ms. */
const idleWhenShort = 300_000;

/**
 * Upload sessions. Each session's bytes are hashed as they come. The hash lives here between requests; what is saved with
 * the session is enough to finish an upload elsewhere without reading it again.
 */
export class Uploads implements AsyncDisposable {
  readonly #driver: Driver;
  readonly #space: Space;
  readonly #hashes = new BoundedMap<string, LiveHash>(1000);
  readonly #means: UploadMeans = { gathered: { bytes: 0 }, memory: new BatchMemory(), thread: new HashThread() };
  /** Requests of this process, by the session that they go on with. */
  readonly #requests = new Map<string, number>();

  constructor(driver: Driver, space: Space) {
    this.#driver = driver;
    this.#space = space;
  }

  async create(
    name: RepositoryName,
    { owner = '', algorithm = 'sha256' }: { owner?: string; algorithm?: Algorithm } = {},
  ): Promise<{ id: string; offset: number }> {
    await this.#space.check();
    const id = randomUUID();
    await this.#driver.uploads.create(id, formatNote({ name, owner, algorithm }));
    return { id, offset: 0 };
  }

  async status(name: RepositoryName, id: string): Promise<{ id: string; offset: number }> {
    const { offset } = await this.#find(name, id);
    return { id, offset };
  }

  async append(
    name: RepositoryName,
    id: string,
    body: UploadBody,
    at?: number,
  ): Promise<{ id: string; offset: number }> {
    return this.#during(id, async () => {
      using claim = await this.#space.claim(body.length);
      const session = await this.#open(name, id, { at });
      await session.absorb(body, claim);
      await session.save();
      return { id, offset: session.offset };
    });
  }

  async commit(
    name: RepositoryName,
    id: string,
    digest: Digest,
    body: UploadBody | undefined,
    at?: number,
  ): Promise<{ digest: Digest; size: number }> {
    return this.#during(id, async () => {
      using claim = await this.#space.claim(body?.length);
      const session = await this.#open(name, id, { at, becomes: digest });
      if (body !== undefined) await session.absorb(body, claim);
      const actual = await session.digest();
      const size = session.offset;
      if (actual !== digest) {
        // As registry:2 does: what was sent is not what was meant, so nothing of it is of use.
        await session.lease.abort();
        this.#hashes.delete(id);
        throw new DigestInvalidError(`the upload's content is ${actual}`);
      }
      // In no order: a link without the blob says nothing, and who sent the content may have it.
      await together(session.lease.commit(blobKey(digest)), writeLink(this.#driver, layerLink(name, digest), digest));
      this.#hashes.delete(id);
      return { digest, size };
    });
  }

  async cancel(name: RepositoryName, id: string): Promise<void> {
    await this.#during(id, async () => {
      const session = await this.#open(name, id);
      await session.lease.abort();
      this.#hashes.delete(id);
    });
  }

  /** Ends sessions that have been idle for `idle` ms, or, where space is short, for five minutes. */
  async expire(idle: number): Promise<void> {
    const limit = this.#space.hasRefused() ? Math.min(idle, idleWhenShort) : idle;
    await expireSessions(this.#driver.uploads, { idle: limit, isHeld: (id) => this.#requests.has(id) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#means.thread[Symbol.asyncDispose]();
  }

  /** While this goes on, the session does not expire. */
  async #during<T>(id: string, work: () => Promise<T>): Promise<T> {
    this.#requests.set(id, (this.#requests.get(id) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.#requests.get(id) ?? 1) - 1;
      if (left === 0) this.#requests.delete(id);
      else this.#requests.set(id, left);
    }
  }

  async #find(name: RepositoryName, id: string): Promise<{ offset: number; note: UploadNote }> {
    const state = isSessionId(id) ? await this.#driver.uploads.state(id) : undefined;
    const note = state && parseNote(state.note);
    if (state === undefined || note?.name !== name) throw unknown();
    return { offset: state.offset, note };
  }

  /** Takes the session over, unless `at` is not its end. `becomes`: what it is to become by this request. */
  async #open(
    name: RepositoryName,
    id: string,
    { at, becomes }: { at?: number | undefined; becomes?: Digest } = {},
  ): Promise<UploadSession> {
    // Asked ahead of the lease, so that a mistaken request does not end another one that is right.
    const { offset, note } = await this.#find(name, id);
    if (at !== undefined && at !== offset) throw new UploadOutOfOrderError(offset, at);
    const lease = await this.#driver.uploads.open(id, becomes && { target: blobKey(becomes) });
    if (lease === undefined) throw unknown();
    const known = this.#hashes.get(id);
    const inherited = known?.generation === lease.inherited ? known.hash : undefined;
    if (known !== undefined) known.hash = undefined;
    const live: LiveHash = { generation: lease.generation, hash: inherited };
    this.#hashes.set(id, live);
    const algorithm = becomes === undefined ? note.algorithm : splitDigest(becomes).algorithm;
    const session = new UploadSession(lease, { ...note, algorithm }, live, this.#means);
    if (at !== undefined && at !== lease.offset) {
      await session.save();
      throw new UploadOutOfOrderError(lease.offset, at);
    }
    return session;
  }
}

/** Fails as the first that fails, once all have ended. */
async function together(...works: Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(works)) if (end.status === 'rejected') throw end.reason;
}

function isSessionId(text: string): boolean {
  return /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/.test(text);
}

function unknown(): StorageError {
  return new StorageError('UPLOAD_UNKNOWN', 'there is no such upload');
}
