import { createHash } from 'node:crypto';
import { createSHA256, createSHA512, type IHasher } from 'hash-wasm';
import { type Algorithm, type Digest, isDigest, splitDigest } from './digest.ts';

/** The digest of the first `length` bytes of something. With a `state` it can be gone on with anywhere. */
export interface SavedHash {
  readonly length: number;
  readonly digest: Digest;
  /** Base64 of what hash-wasm saves. */
  readonly state?: string;
}

/** What is left of memory whose bytes were hashed; undefined: nothing, or there was none. */
export type HashedMemory = ArrayBuffer | undefined;

/** A hash that grows with what it is of, here or in another thread. */
export interface UploadHash {
  readonly algorithm: Algorithm;
  /** Bytes hashed so far, or on their way to be. */
  readonly length: number;
  /**
   * Adds bytes, which are the caller's again when it is done. If all of them lie in a `memory` that nobody else looks at
   * meanwhile, it need not be copied on its way to another thread: what is returned stands in its place.
   */
  update(chunks: readonly Uint8Array[], memory?: ArrayBuffer): HashedMemory | Promise<HashedMemory>;
  /**
   * The digest so far; more can be added.
   * @throws where the thread that hashed has ended
   */
  save(): SavedHash | Promise<SavedHash>;
}

/**
 * A hash that grows with what it is of.
 *
 * There are two engines. That of Node is six times as fast (sha256: 1,700 against 270 MB/s on the machine where it
 * was measured), but its state cannot be saved; so what is hashed where it began uses Node's, and what has moved between
 * processes uses hash-wasm's from then on. Either can say the digest so far, and go on.
 */
export class RunningHash implements UploadHash {
  readonly algorithm: Algorithm;
  #length: number;
  readonly #engine: Engine;

  private constructor(algorithm: Algorithm, engine: Engine, length: number) {
    this.algorithm = algorithm;
    this.#engine = engine;
    this.#length = length;
  }

  /** Of nothing so far; it stays in this process. */
  static start(algorithm: Algorithm): RunningHash {
    return new RunningHash(algorithm, nodeEngine(algorithm), 0);
  }

  /** Of nothing so far; it can be saved with its state. */
  static async movable(algorithm: Algorithm): Promise<RunningHash> {
    return new RunningHash(algorithm, wasmEngine(algorithm, (await wasmHasher(algorithm)).init()), 0);
  }

  /** Goes on with what was saved; undefined where that has no state. */
  static async resume({ digest, length, state }: SavedHash): Promise<RunningHash | undefined> {
    if (state === undefined) return undefined;
    const { algorithm } = splitDigest(digest);
    const hasher = await wasmHasher(algorithm);
    return new RunningHash(algorithm, wasmEngine(algorithm, hasher.load(Buffer.from(state, 'base64'))), length);
  }

  /** Bytes hashed so far. */
  get length(): number {
    return this.#length;
  }

  update(chunks: readonly Uint8Array[], memory?: ArrayBuffer): HashedMemory {
    for (const chunk of chunks) {
      this.#engine.update(chunk);
      this.#length += chunk.length;
    }
    return memory;
  }

  save(): SavedHash {
    return { length: this.#length, ...this.#engine.save() };
  }
}

interface Engine {
  update(chunk: Uint8Array): void;
  save(): { digest: Digest; state?: string };
}

function nodeEngine(algorithm: Algorithm): Engine {
  const hash = createHash(algorithm);
  return {
    update: (chunk) => void hash.update(chunk),
    save: () => ({ digest: `${algorithm}:${hash.copy().digest('hex')}` }),
  };
}

function wasmHasher(algorithm: Algorithm): Promise<IHasher> {
  return algorithm === 'sha256' ? createSHA256() : createSHA512();
}

function wasmEngine(algorithm: Algorithm, hasher: IHasher): Engine {
  return {
    update: (chunk) => void hasher.update(chunk),
    save: () => {
      const state = hasher.save();
      const digest: Digest = `${algorithm}:${hasher.digest()}`;
      hasher.load(state);
      return { digest, state: Buffer.from(state).toString('base64') };
    },
  };
}

/** What `JSON.parse` made of a saved hash; undefined if it is none. */
export function asSavedHash(value: unknown): SavedHash | undefined {
  if (typeof value !== 'object' || value === null || !('length' in value) || !('digest' in value)) return undefined;
  const { length, digest } = value;
  if (typeof length !== 'number' || typeof digest !== 'string' || !isDigest(digest)) return undefined;
  const state = 'state' in value && typeof value.state === 'string' ? value.state : undefined;
  return state === undefined ? { length, digest } : { length, digest, state };
}
