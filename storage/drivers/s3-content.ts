import { StorageError } from '../errors.ts';
import { parallel } from '../parallel.ts';
import type { S3Bucket } from './s3-bucket.ts';
import type { PartBuffers } from './s3-buffers.ts';
import { assemble, copyObject } from './s3-copy.ts';
import { mostParts, Multipart } from './s3-multipart.ts';
import { readObject } from './s3-read.ts';
import {
  addPart,
  countParts,
  type Held,
  fitsRecord,
  nothing,
  partKey,
  partKeys,
  partSize,
  type Piece,
  pieceKey,
  placePieces,
  sizeOf,
  sizeOfPieces,
} from './s3-record.ts';

/** Pieces that are kept before they are made one. */
const mostPieces = 16;

/** Parts of one upload that are sent at once. */
const mostSent = 4;

/**
 * What is to become a part, of `length` bytes: those before `from` lie in the pieces, the others here, and the first of
 * these in the record too.
 */
interface Fill {
  readonly bytes: Buffer;
  from: number;
  length: number;
}

/** The bytes of an upload, of which the last ones may be in memory only. */
export interface Left extends Held {
  readonly fill?: Fill | undefined;
}

/** A whole part that is on its way to S3. */
interface Pending {
  readonly done: Promise<void>;
  /** Those that it is to replace, and bytes of the record. */
  readonly pieces: readonly Piece[];
  readonly tail: Uint8Array;
}

/**
 * The bytes of an upload under one lease: whole parts in objects, and a last one in memory, which becomes an object when it
 * is whole or the lease ends. While some parts are sent the next one is gathered. With a target that is known from the start,
 * whole parts go there at once, by a multipart upload that ends with the lease.
 */
export class S3Content {
  readonly #bucket: S3Bucket;
  readonly #buffers: PartBuffers;
  readonly #id: string;
  readonly #generation: number;
  readonly #target: string | undefined;
  /** Makes sure of the lease, ahead of each write of an object. */
  readonly #claim: () => Promise<void>;
  #held: Held;
  #fill: Fill | undefined;
  /** In the order of their places, which follow those that are held. */
  #pending: Pending[] = [];
  #multipart: Multipart | undefined;
  #failure: unknown;
  #hasObjects: boolean;

  constructor(
    { bucket, buffers }: { bucket: S3Bucket; buffers: PartBuffers },
    lease: { id: string; generation: number; target: string | undefined; claim: () => Promise<void> },
    { fill, ...held }: Left,
  ) {
    this.#bucket = bucket;
    this.#buffers = buffers;
    this.#id = lease.id;
    this.#generation = lease.generation;
    this.#claim = lease.claim;
    this.#held = held;
    this.#hasObjects = held.parts.length + held.pieces.length > 0;
    this.#fill = fill;
    this.#target = this.offset === 0 ? lease.target : undefined;
  }

  get offset(): number {
    const sent = this.#pending.length * partSize;
    return sent + (this.#fill === undefined ? sizeOf(this.#held) : this.#whole * partSize + this.#fill.length);
  }

  /** Whether objects of the upload were there, or were written. */
  get hasObjects(): boolean {
    return this.#hasObjects;
  }

  /** Why a part could not be sent: nothing more is taken since. */
  get failure(): unknown {
    return this.#failure;
  }

  /** The offset that another lease would go on at: what is on its way to the target is lost to it. */
  get lasting(): number {
    const direct = this.#target !== undefined && this.#multipart !== undefined;
    return direct ? 0 : this.offset;
  }

  async append(chunks: readonly Uint8Array[]): Promise<void> {
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) {
        if (this.#failure !== undefined) throw this.#failure;
        const fill = (this.#fill ??= await this.#begin());
        const piece = chunk.subarray(at, at + partSize - fill.length);
        fill.bytes.set(piece, fill.length);
        fill.length += piece.length;
        at += piece.length;
        if (fill.length === partSize) await this.#send(fill);
      }
    }
  }

  /** All bytes. What is in memory goes into an object first, for it may have to make room meanwhile. */
  async *read(): AsyncGenerator<Uint8Array, void, void> {
    const held = await this.store();
    if (this.#multipart !== undefined) throw new Error('parts of a multipart upload cannot be read');
    for (const key of partKeys(this.#id, held.parts)) {
      yield* readObject(this.#bucket, key, { start: 0, end: partSize - 1 });
    }
    for (const { key, size } of placePieces(this.#id, held)) {
      yield* readObject(this.#bucket, key, { start: 0, end: size - 1 });
    }
    if (held.tail.length > 0) yield held.tail;
  }

  /** Waits for what is being sent. What fails is given up with all that follows it, and `failure` says why. */
  async settle(): Promise<void> {
    while (this.#pending.length > 0) await this.#settleFirst();
  }

  async #settleFirst(): Promise<void> {
    const [first, ...others] = this.#pending;
    if (first === undefined) return;
    try {
      await first.done;
      this.#held = { parts: addPart(this.#held.parts, this.#generation), pieces: [], tail: nothing };
      this.#pending = others;
    } catch (error) {
      this.#failure = error;
      this.#drop();
      this.#held = { parts: this.#held.parts, pieces: first.pieces, tail: first.tail };
      await Promise.allSettled(others.map(({ done }) => done));
      this.#pending = [];
    }
  }

  /** Puts into objects what is in memory; `tail`: what is little may be left to the record. */
  async store({ tail } = { tail: false }): Promise<Held> {
    await this.settle();
    const fill = this.#fill;
    if (fill !== undefined) {
      const bytes = fill.bytes.subarray(fill.from, fill.length);
      if (tail && fitsRecord(bytes.length, this.#held.tail.length))
        this.#held = { ...this.#held, tail: Buffer.from(bytes) };
      else await this.#storePiece(fill);
      this.#drop();
    }
    return this.#held;
  }

  async #storePiece(fill: Fill): Promise<void> {
    await this.#claim();
    this.#hasObjects = true;
    const { parts, pieces } = this.#held;
    if (pieces.length >= mostPieces) await this.#load(fill);
    const piece = { generation: this.#generation, size: fill.length - fill.from };
    const key = pieceKey(this.#id, piece, this.#whole, fill.from);
    await this.#bucket.put(key, fill.bytes.subarray(fill.from, fill.length));
    this.#held = { parts, pieces: fill.from === 0 ? [piece] : [...pieces, piece], tail: nothing };
  }

  /** Makes all bytes the content of a key. */
  async commit(key: string): Promise<void> {
    await this.settle();
    if (this.#failure !== undefined) throw this.#failure;
    const { tail } = this.#held;
    const isSplit = this.#held.pieces.length + Math.sign(tail.length) > 1;
    if (isSplit) this.#fill ??= await this.#begin();
    if (this.#fill !== undefined) await this.#load(this.#fill);
    const gathered = this.#fill?.bytes.subarray(0, this.#fill.length);
    const last = gathered ?? (tail.length > 0 ? tail : undefined);
    const pieces = last === undefined ? placePieces(this.#id, this.#held).map(({ key }) => key) : [];
    const sources = [...partKeys(this.#id, this.#held.parts), ...pieces];
    const size = this.offset;
    if (this.#multipart !== undefined) {
      await this.#finish(this.#multipart, last, pieces);
    } else if (sources.length === 0) {
      await this.#bucket.put(key, last ?? new Uint8Array(), { blob: true });
    } else if (sources.length === 1 && last === undefined) {
      const copied = await copyObject(this.#bucket, sources.join(''), key, size);
      if (!copied) throw new StorageError('UPLOAD_UNKNOWN', 'there is no such upload');
    } else {
      const count = sources.length + (last === undefined ? 0 : 1);
      await assemble(this.#bucket, key, { size, count }, async (multipart, place) => {
        const source = sources[place];
        if (source !== undefined) await multipart.copy(place, source);
        else if (last !== undefined) await multipart.put(place, last);
      });
    }
  }

  /** Throws away what nobody else can go on with. */
  async abandon(): Promise<void> {
    await this.settle();
    const multipart = this.#multipart;
    if (multipart === undefined) return;
    this.#drop();
    this.#held = { parts: [], pieces: [], tail: nothing };
    this.#multipart = undefined;
    await multipart.abort();
  }

  /** What another lease of this process can go on with. It has the memory too, once this one was told to `forget` it. */
  async leave(): Promise<Left> {
    await this.abandon().catch(() => undefined);
    return { ...this.#held, fill: this.#fill };
  }

  forget(): void {
    this.#fill = undefined;
  }

  /** Gives the memory back. */
  async release(): Promise<void> {
    await this.leave();
    this.#drop();
  }

  get #whole(): number {
    return countParts(this.#held.parts);
  }

  /** A buffer for the next bytes. */
  async #begin(): Promise<Fill> {
    if (this.#whole + this.#pending.length >= mostParts) {
      throw new StorageError('SIZE_INVALID', `a blob can have ${mostParts * partSize} bytes at most`);
    }
    const { pieces, tail } = this.#held;
    const [from, bytes] = [sizeOfPieces(pieces), await this.#buffers.take()];
    bytes.set(tail, from);
    return { bytes, from, length: from + tail.length };
  }

  /** Reads the pieces into the room that is left for them. */
  async #load(fill: Fill): Promise<void> {
    if (fill.from === 0) return;
    await parallel(placePieces(this.#id, this.#held), mostPieces, async ({ key, start, size }) => {
      let at = start;
      for await (const bytes of readObject(this.#bucket, key, { start: 0, end: size - 1 })) {
        fill.bytes.set(bytes, at);
        at += bytes.length;
      }
    });
    fill.from = 0;
  }

  /** Begins to send a whole part. */
  async #send(fill: Fill): Promise<void> {
    if (this.#pending.length === mostSent) await this.#settleFirst();
    if (this.#failure !== undefined) throw this.#failure;
    await this.#claim();
    this.#hasObjects = true;
    const { bytes } = fill;
    await this.#load(fill);
    if (this.#target !== undefined) this.#multipart ??= await Multipart.begin(this.#bucket, this.#target);
    const { parts, pieces, tail } = this.#held;
    // Given back at once: whoever waits for a buffer may be the one that has to settle.
    const done = this.#put(this.#whole + this.#pending.length, bytes).finally(() => this.#buffers.give(bytes));
    done.catch(() => undefined);
    this.#fill = undefined;
    this.#held = { parts, pieces: [], tail: nothing };
    this.#pending.push({ done, pieces, tail });
  }

  async #put(place: number, bytes: Buffer): Promise<void> {
    if (this.#multipart === undefined) await this.#bucket.put(partKey(this.#id, this.#generation, place), bytes);
    else await this.#multipart.put(place, bytes);
  }

  async #finish(multipart: Multipart, last: Uint8Array | undefined, pieces: readonly string[]): Promise<void> {
    if (last !== undefined) await multipart.put(this.#whole, last);
    for (const piece of pieces) await multipart.copy(this.#whole, piece);
    await multipart.complete(this.offset);
    this.#multipart = undefined;
  }

  #drop(): void {
    if (this.#fill !== undefined) this.#buffers.give(this.#fill.bytes);
    this.#fill = undefined;
  }
}
