import type { UploadLease } from '../driver.ts';
import { StorageError } from '../errors.ts';
import type { S3Bucket } from './s3-bucket.ts';
import type { Filler, PartBuffers } from './s3-buffers.ts';
import { type Left, S3Content } from './s3-content.ts';
import type { RecordCache } from './s3-record-cache.ts';
import {
  type FoundRecord,
  placePieces,
  recordKey,
  replaceRecord,
  uploadFolder,
  type UploadRecord,
} from './s3-record.ts';

/** What the leases of a driver share. */
export interface S3UploadContext {
  readonly bucket: S3Bucket;
  readonly buffers: PartBuffers;
  /** The lease of each upload that was taken last in this process and has not ended. */
  readonly live: Map<string, S3Lease>;
  readonly records: RecordCache;
}

/** How long an upload goes on without its record saying so, in ms: else others would take it for an idle one. */
const longestUnseen = 600_000;

/** For how long a lease may not be in the record yet, in ms. */
const longestUnclaimed = 1000;

/** The right to write to an upload in a bucket. */
export class S3Lease implements UploadLease, Filler {
  readonly generation: number;
  readonly inherited: number;
  readonly note: string;
  readonly #context: S3UploadContext;
  readonly #id: string;
  readonly #content: S3Content;
  /** As it is, or is to be, when the lease is taken. */
  readonly #record: UploadRecord;
  readonly #own: boolean;
  #etag: string;
  /** Whether the record says that the lease is taken; else it is as it was before. */
  #isClaimed = false;
  #claiming: Promise<void> | undefined;
  #seen = performance.now();
  #state: 'held' | 'taken over' | 'ended' = 'held';
  #busy: Promise<unknown> | undefined;
  #spilling: Promise<unknown> | undefined;

  constructor(
    context: S3UploadContext,
    lease: { id: string; record: UploadRecord; found: FoundRecord; left: Left; target: string | undefined },
  ) {
    this.#context = context;
    this.#id = lease.id;
    this.#record = lease.record;
    this.#etag = lease.found.etag;
    this.#own = lease.found.own;
    this.generation = lease.record.generation;
    this.inherited = lease.record.left;
    this.note = lease.record.note;
    this.#content = new S3Content(
      context,
      { id: lease.id, generation: this.generation, target: lease.target, claim: () => this.claim() },
      lease.left,
    );
  }

  get offset(): number {
    return this.#content.offset;
  }

  /** That of the record as this lease knows it: another one is a newer lease's. */
  get etag(): string {
    return this.#etag;
  }

  /** The offset that the next lease would find. */
  get lasting(): number {
    return this.#content.lasting;
  }

  /** Has the record say that the lease is taken. @throws {StorageError} UPLOAD_TAKEN_OVER, UPLOAD_UNKNOWN */
  async claim(): Promise<void> {
    if (this.#isClaimed) return;
    this.#claiming ??= this.#write(this.#record).finally(() => {
      this.#claiming = undefined;
    });
    await this.#claiming;
  }

  async append(chunks: readonly Uint8Array[]): Promise<void> {
    await this.#during(async () => {
      if (performance.now() - this.#seen > longestUnclaimed) await this.claim();
      await this.#content.append(chunks);
      this.#context.buffers.touch(this);
      if (performance.now() - this.#seen > longestUnseen) await this.#write(this.#record);
    });
  }

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    await this.#spilling;
    yield* this.#content.read();
  }

  async save(note: string): Promise<void> {
    await this.#finally(async () => {
      await this.#content.abandon();
      const { parts, pieces, tail } = await this.#content.store({ tail: true });
      const record = { ...this.#record, parts, pieces, tail, left: this.generation, note };
      await this.#write(record);
      const own = this.#own && !this.#content.hasObjects;
      this.#context.records.set(this.#id, { record, etag: this.#etag, own });
      const kept = new Set(placePieces(this.#id, { parts, pieces }).map(({ key }) => key));
      const superseded = placePieces(this.#id, this.#record).flatMap(({ key }) => (kept.has(key) ? [] : [key]));
      await this.#context.bucket.delete(superseded).catch(() => undefined);
      if (this.#content.failure !== undefined) throw this.#content.failure;
    });
  }

  async commit(key: string): Promise<void> {
    await this.#finally(async () => {
      await this.#check();
      await this.#content.commit(key);
      // The blob is what counts; what may be left of the upload is swept.
      await this.#remove().catch(() => undefined);
    });
  }

  async abort(): Promise<void> {
    await this.#finally(async () => {
      await this.#content.abandon();
      await this.claim();
      await this.#remove();
    });
  }

  async spill(): Promise<void> {
    if (this.#busy !== undefined || this.#spilling !== undefined || this.#state !== 'held') return;
    this.#spilling = this.#content.store().catch(() => undefined);
    await this.#spilling;
    this.#spilling = undefined;
  }

  /** Takes the lease away, and waits until nothing is written under it any more. */
  async stop(): Promise<void> {
    if (this.#state === 'held') this.#state = 'taken over';
    await this.#busy?.catch(() => undefined);
    await this.#spilling;
  }

  /** What the next lease of this process goes on with. It has the memory too, once this one was told to `forget` it. */
  leave(): Promise<Left> {
    return this.#content.leave();
  }

  forget(): void {
    this.#content.forget();
  }

  /** Gives the memory back. */
  async release(): Promise<void> {
    this.#context.buffers.leave(this);
    await this.#content.release();
  }

  /** Does something under the lease, by which it ends. */
  async #finally(work: () => Promise<void>): Promise<void> {
    await this.#during(async () => {
      this.#state = 'ended';
      try {
        await work();
      } finally {
        if (this.#context.live.get(this.#id) === this) this.#context.live.delete(this.#id);
        await this.release();
      }
    });
  }

  async #during(work: () => Promise<void>): Promise<void> {
    await this.#spilling;
    if (this.#state === 'taken over') throw takenOver();
    if (this.#state === 'ended') throw new Error('the lease has ended');
    const busy = work();
    this.#busy = busy;
    try {
      await busy;
    } finally {
      this.#busy = undefined;
    }
  }

  /** Ends the upload. */
  async #remove(): Promise<void> {
    const { bucket, records } = this.#context;
    records.delete(this.#id);
    if (this.#own && !this.#content.hasObjects) await bucket.delete([recordKey(this.#id)]);
    else await removeUpload(bucket, this.#id);
  }

  async #write(record: UploadRecord): Promise<void> {
    const etag = await replaceRecord(this.#context.bucket, this.#id, record, this.#etag);
    if (etag === undefined) throw await this.#lost();
    this.#etag = etag;
    this.#isClaimed = true;
    this.#seen = performance.now();
  }

  /** Whether another process took the lease. */
  async #check(): Promise<void> {
    const found = await this.#context.bucket.stat(recordKey(this.#id));
    if (found?.etag !== this.#etag) throw found === undefined ? unknown() : takenOver();
  }

  async #lost(): Promise<StorageError> {
    this.#context.records.delete(this.#id);
    const found = await this.#context.bucket.stat(recordKey(this.#id));
    return found === undefined ? unknown() : takenOver();
  }
}

/** Ends an upload: it is unknown once its record is removed, and then the rest is. */
export async function removeUpload(bucket: S3Bucket, id: string): Promise<void> {
  await bucket.delete([recordKey(id)]);
  const keys: string[] = [];
  for await (const { key } of bucket.walk(uploadFolder(id))) keys.push(key);
  await bucket.delete(keys);
}

function takenOver(): StorageError {
  return new StorageError('UPLOAD_TAKEN_OVER', 'another request goes on with this upload');
}

function unknown(): StorageError {
  return new StorageError('UPLOAD_UNKNOWN', 'there is no such upload');
}
