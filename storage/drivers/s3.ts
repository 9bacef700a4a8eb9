import type { Driver, Entry, Span } from '../driver.ts';
import { S3Bucket } from './s3-bucket.ts';
import type { S3Options } from './s3-client.ts';
import { copyObject } from './s3-copy.ts';
import { readObject } from './s3-read.ts';
import { sweepMultiparts, sweepObjects } from './s3-sweep.ts';
import { S3Uploads } from './s3-uploads.ts';

export type { S3Options } from './s3-client.ts';

/**
 * Opens a bucket, in which each key is an object's, below the prefix. Other processes may use it at the same time.
 * @throws what the SDK says, where the bucket is not there or may not be used
 */
export async function openS3(options: S3Options): Promise<Driver> {
  return new S3Driver(await S3Bucket.open(options), options.redirect === true);
}

/** How long a signed URL is good for, in s. */
const signedFor = 3600;

class S3Driver implements Driver {
  readonly uploads: S3Uploads;
  readonly presign?: (key: string) => Promise<string>;
  readonly #bucket: S3Bucket;

  constructor(bucket: S3Bucket, redirect: boolean) {
    this.#bucket = bucket;
    if (redirect) this.presign = (key) => bucket.presign(key, signedFor);
    this.uploads = new S3Uploads(bucket);
  }

  async stat(key: string): Promise<{ size: number } | undefined> {
    const found = await this.#bucket.stat(key);
    return found && { size: found.size };
  }

  async get(key: string, limit: number): Promise<Uint8Array | undefined> {
    return (await this.#bucket.get(key, limit))?.bytes;
  }

  read(key: string, span: Span): AsyncIterable<Uint8Array> {
    return readObject(this.#bucket, key, span);
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    await this.#bucket.put(key, bytes);
  }

  async delete(key: string): Promise<boolean> {
    const keys = (await this.#bucket.stat(key)) === undefined ? [] : [key];
    for await (const below of this.#bucket.walk(key)) keys.push(below.key);
    // Readers see objects go one by one: the links first, by which all else is found.
    const isLink = (one: string): boolean => one.endsWith('/link');
    await this.#bucket.delete([...keys.filter(isLink), ...keys.filter((one) => !isLink(one))]);
    return keys.length > 0;
  }

  async deleteSame(key: string, bytes: Uint8Array): Promise<boolean> {
    const found = await this.#bucket.get(key, bytes.length);
    if (found === undefined || Buffer.compare(found.bytes, bytes) !== 0) return false;
    return this.#bucket.deleteSame(key, found);
  }

  list(folder: string): Promise<Entry[]> {
    return this.#bucket.entries(folder);
  }

  /** What S3 has taken is durable. */
  async settle(): Promise<void> {}

  walk(folder: string, after?: string): AsyncIterable<{ key: string; size: number }> {
    return this.#bucket.walk(folder, after);
  }

  async move(from: string, to: string): Promise<boolean> {
    const found = await this.#bucket.stat(from);
    if (found === undefined || !(await copyObject(this.#bucket, from, to, found.size))) return false;
    return this.#bucket.deleteSame(from, found);
  }

  async sweep(age: number): Promise<void> {
    await sweepObjects(this.#bucket, this.uploads, age);
    await sweepMultiparts(this.#bucket, age);
  }

  async free(): Promise<undefined> {
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.uploads[Symbol.asyncDispose]();
    this.#bucket[Symbol.dispose]();
  }
}
