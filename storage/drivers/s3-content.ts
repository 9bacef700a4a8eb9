import { StorageError } from '../errors.ts';
import type { S3Bucket } from './s3-bucket.ts';
import type { PartBuffers } from './s3-buffers.ts';
import { assemble, copyObject } from './s3-copy.ts';
import { mostParts, Multipart } from './s3-multipart.ts';
import { readObject } from './s3-read.ts';
import { addPart, countParts, type Held, partKey, partKeys, partSize, sizeOf } from './s3-record.ts';

/** A buffer, and how many bytes of it count. */
interface Fill {
  readonly bytes: Buffer;
  length: number;
}

/** The bytes of an upload, of which the last ones may be in memory only. They begin with those of `rest`. */
export interface Left extends Held {
  readonly fill?: Fill | undefined;
}

/** A whole part that is on its way to S3. */
interface Pending {
  readonly done: Promise<void>;
  /** What lay in its place. */
  readonly rest: Held['rest'];
}

/**
 * The bytes of an upload under one lease: whole parts in objects, and a last one in memory, which becomes an object when it
 * is whole or the lease ends. While one part is sent the next one is gathered. With a target that is known from the start,
 * whole parts go there at once, by a multipart upload that ends with the lease.
 */
export class S3Content {
  readonly #bucket: S3Bucket;
  readonly #buffers: PartBuffers;
  readonly #id: string;
  readonly #generation: number;
  readonly #target: string | undefined;
  #held: Held;
  #fill: Fill | undefined;
  #pending: Pending | undefined;
  #multipart: Multipart | undefined;
  #failure: unknown;

  constructor(
    { bucket, buffers }: { bucket: S3Bucket; buffers: PartBuffers },
    { id, generation, target }: { id: string; generation: number; target: string | undefined },
    { fill, ...held }: Left,
  ) {
    this.#bucket = bucket;
    this.#buffers = buffers;
    this.#id = id;
    this.#generation = generation;
    this.#held = held;
    this.#fill = fill;
    this.#target = this.offset === 0 ? target : undefined;
  }

  get offset(): number {
    const whole = this.#pending === undefined ? 0 : partSize;
    return whole + (this.#fill === undefined ? sizeOf(this.#held) : this.#whole * partSize + this.#fill.length);
  }

  /** Why a part could not be sent: nothing more is taken since. */
  get failure(): unknown {
    return this.#failure;
  }

  /** The offset that another lease would go on at: what is on its way to the target is lost to it. */
  get lasting(): number {
    const direct = this.#target !== undefined && (this.#pending !== undefined || this.#multipart !== undefined);
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

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    await this.settle();
    if (this.#multipart !== undefined) throw new Error('parts of a multipart upload cannot be read');
    for (const key of partKeys(this.#id, this.#held.parts)) {
      yield* readObject(this.#bucket, key, { start: 0, end: partSize - 1 });
    }
    const { rest } = this.#held;
    if (this.#fill !== undefined) yield this.#fill.bytes.subarray(0, this.#fill.length);
    else if (rest !== undefined) yield* readObject(this.#bucket, this.#keyOf(rest), { start: 0, end: rest.size - 1 });
  }

  /** Waits for what is being sent. If that fails, it and what follows it is given up, and `failure` says why. */
  async settle(): Promise<void> {
    const pending = this.#pending;
    if (pending === undefined) return;
    try {
      await pending.done;
      this.#held = { parts: addPart(this.#held.parts, this.#generation) };
    } catch (error) {
      this.#failure = error;
      this.#drop();
      // What this lease itself had put there may have been overwritten.
      if (pending.rest?.generation !== this.#generation) this.#held = { ...this.#held, rest: pending.rest };
    } finally {
      this.#pending = undefined;
    }
  }

  /** Puts into objects what is in memory. */
  async store(): Promise<Held> {
    await this.settle();
    if (this.#fill !== undefined) {
      const rest = { generation: this.#generation, size: this.#fill.length };
      await this.#bucket.put(this.#keyOf(rest), this.#fill.bytes.subarray(0, rest.size));
      this.#drop();
      this.#held = { ...this.#held, rest };
    }
    return this.#held;
  }

  /** Makes all bytes the content of a key. */
  async commit(key: string): Promise<void> {
    await this.settle();
    if (this.#failure !== undefined) throw this.#failure;
    const last = this.#fill?.bytes.subarray(0, this.#fill.length);
    const { parts, rest } = this.#held;
    const sources = [
      ...partKeys(this.#id, parts),
      ...(rest === undefined || last !== undefined ? [] : [this.#keyOf(rest)]),
    ];
    const size = this.offset;
    if (this.#multipart !== undefined) {
      await this.#finish(this.#multipart, last);
    } else if (sources.length === 0) {
      await this.#bucket.put(key, last ?? new Uint8Array(), { blob: true });
    } else if (sources.length === 1 && last === undefined) {
      await this.#copy(sources.join(''), key, size);
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
    this.#held = { parts: [] };
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

  /** A buffer for the next bytes, with those in it that are there already. */
  async #begin(): Promise<Fill> {
    if (this.#whole + (this.#pending === undefined ? 0 : 1) >= mostParts) {
      throw new StorageError('SIZE_INVALID', `a blob can have ${mostParts * partSize} bytes at most`);
    }
    const bytes = await this.#buffers.take();
    const { rest } = this.#held;
    let length = 0;
    try {
      if (rest !== undefined) {
        for await (const piece of readObject(this.#bucket, this.#keyOf(rest), { start: 0, end: rest.size - 1 })) {
          bytes.set(piece, length);
          length += piece.length;
        }
      }
    } catch (error) {
      this.#buffers.give(bytes);
      throw error;
    }
    return { bytes, length };
  }

  /** Begins to send a whole part. */
  async #send({ bytes }: Fill): Promise<void> {
    await this.settle();
    if (this.#failure !== undefined) throw this.#failure;
    const { parts, rest } = this.#held;
    // Given back at once: whoever waits for a buffer may be the one that has to settle.
    const done = this.#put(this.#whole, bytes).finally(() => this.#buffers.give(bytes));
    done.catch(() => undefined);
    this.#fill = undefined;
    this.#held = { parts };
    this.#pending = { done, rest };
  }

  async #put(place: number, bytes: Buffer): Promise<void> {
    if (this.#target === undefined) {
      await this.#bucket.put(partKey(this.#id, this.#generation, place), bytes);
    } else {
      this.#multipart ??= await Multipart.begin(this.#bucket, this.#target);
      await this.#multipart.put(place, bytes);
    }
  }

  async #finish(multipart: Multipart, last: Buffer | undefined): Promise<void> {
    const { rest } = this.#held;
    if (last !== undefined) await multipart.put(this.#whole, last);
    else if (rest !== undefined) await multipart.copy(this.#whole, this.#keyOf(rest));
    await multipart.complete(this.offset);
    this.#multipart = undefined;
  }

  async #copy(from: string, to: string, size: number): Promise<void> {
    const copied = await copyObject(this.#bucket, from, to, size);
    if (!copied) throw new StorageError('UPLOAD_UNKNOWN', 'there is no such upload');
  }

  #keyOf({ generation }: { readonly generation: number }): string {
    return partKey(this.#id, generation, this.#whole);
  }

  #drop(): void {
    if (this.#fill !== undefined) this.#buffers.give(this.#fill.bytes);
    this.#fill = undefined;
  }
}
