import type { UploadLease } from '../driver.ts';
import { StorageError } from '../errors.ts';
import type { S3Bucket } from './s3-bucket.ts';
import type { Filler, PartBuffers } from './s3-buffers.ts';
import { type Left, S3Content } from './s3-content.ts';
import { placePieces, readRecord, recordKey, replaceRecord, uploadFolder, type UploadRecord } from './s3-record.ts';

/** What the leases of a driver share. */
export interface S3UploadContext {
  readonly bucket: S3Bucket;
  readonly buffers: PartBuffers;
  /** The lease of each upload that was taken last in this process and has not ended. */
  readonly live: Map<string, S3Lease>;
}

/** How long an upload goes on without its record saying so, in ms: else others would take it for an idle one. */
const longestUnseen = 600_000;

/** The right to write to an upload in a bucket. */
export class S3Lease implements UploadLease, Filler {
  readonly generation: number;
  readonly inherited: number;
  readonly note: string;
  readonly #context: S3UploadContext;
  readonly #id: string;
  readonly #content: S3Content;
  /** As it was written when the lease was taken. */
  readonly #record: UploadRecord;
  #etag: string;
  #seen = performance.now();
  #state: 'held' | 'taken over' | 'ended' = 'held';
  #busy: Promise<unknown> | undefined;
  #spilling: Promise<unknown> | undefined;

  constructor(
    context: S3UploadContext,
    lease: { id: string; record: UploadRecord; etag: string; left: Left; target: string | undefined },
  ) {
    this.#context = context;
    this.#id = lease.id;
    this.#record = lease.record;
    this.#etag = lease.etag;
    this.generation = lease.record.generation;
    this.inherited = lease.record.left;
    this.note = lease.record.note;
    this.#content = new S3Content(
      context,
      { id: lease.id, generation: this.generation, target: lease.target },
      lease.left,
    );
  }

  get offset(): number {
    return this.#content.offset;
  }

  /** The offset that the next lease would find. */
  get lasting(): number {
    return this.#content.lasting;
  }

  async append(chunks: readonly Uint8Array[]): Promise<void> {
    await this.#during(async () => {
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
      const { parts, pieces } = await this.#content.store();
      await this.#write({ ...this.#record, parts, pieces, left: this.generation, note });
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
      await removeUpload(this.#context.bucket, this.#id).catch(() => undefined);
    });
  }

  async abort(): Promise<void> {
    await this.#finally(async () => {
      await this.#content.abandon();
      await removeUpload(this.#context.bucket, this.#id);
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

  async #write(record: UploadRecord): Promise<void> {
    const etag = await replaceRecord(this.#context.bucket, this.#id, record, this.#etag);
    if (etag === undefined) throw await this.#lost();
    this.#etag = etag;
    this.#seen = performance.now();
  }

  /** Whether another process took the lease. */
  async #check(): Promise<void> {
    const found = await readRecord(this.#context.bucket, this.#id);
    if (found?.etag !== this.#etag) throw found === undefined ? unknown() : takenOver();
  }

  async #lost(): Promise<StorageError> {
    const found = await readRecord(this.#context.bucket, this.#id);
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
