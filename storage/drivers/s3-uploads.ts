import { randomUUID } from 'node:crypto';
import type { UploadArea, UploadLease } from '../driver.ts';
import { uploadsFolder } from '../layout.ts';
import { StorageError } from '../errors.ts';
import { KeyedLock } from '../lock.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { PartBuffers } from './s3-buffers.ts';
import { RecordCache } from './s3-record-cache.ts';
import { S3Lease, type S3UploadContext } from './s3-lease.ts';
import { formatRecord, partSize, nothing, readRecord, recordKey, sizeOf, type UploadRecord } from './s3-record.ts';

/** Unfinished uploads in a bucket; `s3-record.ts` draws what each has. */
export class S3Uploads implements UploadArea, AsyncDisposable {
  readonly leastChunk = partSize;
  readonly #bucket: S3Bucket;
  readonly #context: S3UploadContext;
  readonly #live = new Map<string, S3Lease>();
  readonly #opening = new KeyedLock();
  readonly #records = new RecordCache();
  /** Records that a request has just asked for, which goes on to take the lease. */
  readonly #seen = new RecordCache();

  constructor(bucket: S3Bucket) {
    this.#bucket = bucket;
    this.#context = { bucket, buffers: new PartBuffers(), live: this.#live, records: this.#records };
  }

  async create(id: string, note: string): Promise<void> {
    const held = { parts: [], pieces: [], tail: nothing };
    const record: UploadRecord = { generation: 0, holder: randomUUID(), left: 0, ...held, note };
    const etag = await this.#bucket.put(recordKey(id), formatRecord(record), { condition: 'absent' });
    // Else the answer to an earlier attempt was lost.
    if (etag !== undefined) this.#records.set(id, { record, etag, own: true });
  }

  async state(id: string): Promise<{ offset: number; note: string } | undefined> {
    const found = await readRecord(this.#bucket, id, this.#records.get(id));
    this.#records.delete(id);
    if (found === undefined) return undefined;
    this.#records.set(id, found);
    this.#seen.set(id, found);
    const { record, etag } = found;
    const live = this.#live.get(id);
    const offset = live?.etag === etag ? live.lasting : sizeOf(record);
    return { offset, note: record.note };
  }

  async open(id: string, { target }: { target?: string } = {}): Promise<UploadLease | undefined> {
    return this.#opening.alone(id, async () => {
      const older = this.#live.get(id);
      await older?.stop();
      if (older === undefined || this.#live.get(id) !== older) return this.#take(id, undefined, target);
      this.#live.delete(id);
      try {
        return await this.#take(id, older, target);
      } finally {
        await older.release();
      }
    });
  }

  async *list(): AsyncGenerator<{ id: string; idle: number; note: string }, void, void> {
    for await (const { id, touched } of this.all()) {
      const found = await readRecord(this.#bucket, id);
      if (found !== undefined) yield { id, idle: Math.max(0, Date.now() - touched), note: found.record.note };
    }
  }

  /** All uploads, those without a record too, each with its objects; `touched`: when it was last written to, in ms. */
  async *all(): AsyncGenerator<{ id: string; touched: number; keys: string[] }, void, void> {
    let upload: { id: string; touched: number; keys: string[] } | undefined;
    for await (const { key, modified } of this.#bucket.walk(uploadsFolder)) {
      const id = key
        .slice(uploadsFolder.length + 1)
        .split('/', 1)
        .join('');
      if (upload?.id !== id) {
        if (upload !== undefined) yield upload;
        upload = { id, touched: 0, keys: [] };
      }
      upload.touched = Math.max(upload.touched, modified);
      upload.keys.push(key);
    }
    if (upload !== undefined) yield upload;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#live.values()].map((lease) => lease.stop().then(() => lease.release())));
  }

  /** Takes the lease from whoever holds it; `older`: from that one, if it is its. */
  async #take(id: string, older: S3Lease | undefined, target: string | undefined): Promise<UploadLease | undefined> {
    for (;;) {
      const found = this.#seen.get(id) ?? (await readRecord(this.#bucket, id, this.#records.get(id)));
      this.#seen.delete(id);
      this.#records.delete(id);
      if (found === undefined) return undefined;
      const { record: before } = found;
      const inherits = older?.etag === found.etag;
      const { fill, ...held } = inherits ? await older.leave() : { ...before, fill: undefined };
      const { parts, pieces, tail } = held;
      const generation = Math.max(before.generation, inherits ? older.generation : 0) + 1;
      const left = inherits ? older.generation : before.left;
      const record: UploadRecord = { generation, holder: randomUUID(), left, parts, pieces, tail, note: before.note };
      const lease = new S3Lease(this.#context, { id, record, found, left: { parts, pieces, tail, fill }, target });
      if (!found.own && !(await hasClaimed(lease))) continue;
      if (inherits) {
        older.forget();
        this.#context.buffers.touch(lease);
      }
      this.#live.set(id, lease);
      return lease;
    }
  }
}

/** False: the record is another one by now. */
async function hasClaimed(lease: S3Lease): Promise<boolean> {
  try {
    await lease.claim();
    return true;
  } catch (error) {
    if (error instanceof StorageError && error.code.startsWith('UPLOAD_')) return false;
    throw error;
  }
}
