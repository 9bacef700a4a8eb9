import { createHash } from 'node:crypto';
import { createSHA256, type IHasher } from 'hash-wasm';
import { type Digest, isDigest } from './digest.ts';

/** sha256 of the first `length` bytes of something. With a `state` it can be gone on with anywhere. */
export interface SavedHash {
  readonly length: number;
  readonly digest: Digest;
  /** Base64 of what hash-wasm saves. */
  readonly state?: string;
}

/**
 * A sha256 that grows with what it is of.
 *
 * There are two engines. That of Node is six times as fast (1,700 against 270 MB/s on the machine where it was
 * measured), but its state cannot be saved; so what is hashed where it began uses Node's, and what has moved between
 * processes uses hash-wasm's from then on. Either can say the digest so far, and go on.
 */
export class RunningHash {
  #length: number;
  readonly #engine: Engine;

  private constructor(engine: Engine, length: number) {
    this.#engine = engine;
    this.#length = length;
  }

  /** Of nothing so far; it stays in this process. */
  static start(): RunningHash {
    return new RunningHash(nodeEngine(), 0);
  }

  /** Goes on with what was saved; without a state, from nothing. */
  static async movable(saved?: SavedHash): Promise<RunningHash> {
    const hasher = await createSHA256();
    if (saved?.state === undefined) return new RunningHash(wasmEngine(hasher.init()), 0);
    return new RunningHash(wasmEngine(hasher.load(Buffer.from(saved.state, 'base64'))), saved.length);
  }

  /** Bytes hashed so far. */
  get length(): number {
    return this.#length;
  }

  update(chunk: Uint8Array): void {
    this.#engine.update(chunk);
    this.#length += chunk.length;
  }

  save(): SavedHash {
    return { length: this.#length, ...this.#engine.save() };
  }
}

interface Engine {
  update(chunk: Uint8Array): void;
  save(): { digest: Digest; state?: string };
}

function nodeEngine(): Engine {
  const hash = createHash('sha256');
  return {
    update: (chunk) => void hash.update(chunk),
    save: () => ({ digest: `sha256:${hash.copy().digest('hex')}` }),
  };
}

function wasmEngine(hasher: IHasher): Engine {
  return {
    update: (chunk) => void hasher.update(chunk),
    save: () => {
      const state = hasher.save();
      const digest: Digest = `sha256:${hasher.digest()}`;
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
