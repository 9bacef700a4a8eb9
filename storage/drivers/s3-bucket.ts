import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  type PutObjectCommandInput,
  type S3,
  type ServerSideEncryption,
  type StorageClass,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { Entry } from '../driver.ts';
import { openClient, type S3Options } from './s3-client.ts';
import { asS3Error, isAbsent, isNotFound, isRefused, S3Error } from './s3-errors.ts';

/** An object that is listed. */
export interface Listed {
  readonly key: string;
  readonly size: number;
  /** When it was written, in ms. */
  readonly modified: number;
}

/** An object's bytes as they come; whoever does not read them to the end must destroy them. */
export interface OpenObject {
  /** Of the whole object. */
  readonly size: number;
  readonly body: Readable;
  readonly etag: string;
  /** When it was written, in ms. */
  readonly modified: number;
}

/** An object as a HEAD tells of it. */
export interface Described {
  readonly size: number;
  readonly etag: string;
  /** When it was written, in ms. */
  readonly modified: number;
}

/** What an object must be for a write to happen: another one with this etag, or none. */
export type Condition = { readonly etag: string } | 'absent';

/** Of every object, as registry:2 has it. */
export const contentType = 'application/octet-stream';

/**
 * Requests that are under way at once. Bodies that clients read are not among them: those who read slowly would keep all
 * others waiting.
 */
const mostRequests = 64;

/** Objects that one request deletes at most (S3 API, "DeleteObjects"). */
const mostDeleted = 1000;

/** A bucket, by the keys below its prefix. Each call fails with an `S3Error`, or with a `StorageError` NO_SPACE. */
export class S3Bucket implements Disposable {
  readonly s3: S3;
  readonly name: string;
  /** Of each write. */
  readonly encryption: { ServerSideEncryption?: ServerSideEncryption; SSEKMSKeyId?: string };
  /** Of a blob's write. */
  readonly storageClass: { StorageClass?: StorageClass };
  /** For what is read as fast as others take it. */
  readonly #reader: S3;
  readonly #prefix: string;

  constructor(options: S3Options) {
    this.s3 = openClient(options, mostRequests);
    this.#reader = openClient(options, Infinity);
    this.name = options.bucket;
    const { encryption, kmsKeyId, storageClass, prefix = '' } = options;
    this.encryption = {
      ...(encryption !== undefined && { ServerSideEncryption: encryption }),
      ...(kmsKeyId !== undefined && { SSEKMSKeyId: kmsKeyId }),
    };
    this.storageClass = storageClass === undefined ? {} : { StorageClass: storageClass };
    const folder = prefix.replace(/^\/+|\/+$/g, '');
    this.#prefix = folder === '' ? '' : `${folder}/`;
  }

  /** Where a key lies, for a call. */
  at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.name, Key: this.#prefix + key };
  }

  /** A key as the source of a copy. */
  source(key: string): string {
    return [this.name, ...(this.#prefix + key).split('/')].map(encodeURIComponent).join('/');
  }

  /** A key of S3's as one of the store's. */
  keyOf(key: string): string {
    return key.slice(this.#prefix.length);
  }

  /** What all keys below a folder start with at S3. */
  below(folder: string): string {
    return `${this.#prefix}${folder}/`;
  }

  async stat(key: string): Promise<Described | undefined> {
    try {
      const answer = await this.s3.headObject(this.at(key));
      const { ContentLength: size = 0, ETag: etag = '', LastModified: modified } = answer;
      return { size, etag, modified: modified?.getTime() ?? 0 };
    } catch (error) {
      if (!isNotFound(error)) throw asS3Error('HeadObject', error);
    }
    // A HEAD's answer has no body to say whether it was the key that is not there, or the bucket.
    const found = await this.#open(this.s3, key);
    found?.body.destroy();
    return found && { size: found.size, etag: found.etag, modified: found.modified };
  }

  /** All bytes, or those of a span which lies in the object. The SDK checks all of them against S3's checksum. */
  open(key: string, span?: { start: number; end: number }): Promise<OpenObject | undefined> {
    return this.#open(this.#reader, key, span);
  }

  /** A small object as a whole. Undefined: it is not there, or holds more than `limit` bytes. */
  async get(key: string, limit: number): Promise<(Described & { readonly bytes: Uint8Array }) | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#open(this.s3, key);
      try {
        if (found === undefined || found.size > limit) return undefined;
        const pieces: Uint8Array[] = [];
        for await (const piece of found.body) pieces.push(piece);
        const { size, etag, modified } = found;
        return { bytes: Buffer.concat(pieces), size, etag, modified };
      } catch (error) {
        if (attempt === 3) throw asS3Error('GetObject', error);
      } finally {
        found?.body.destroy();
      }
    }
  }

  /** Writes an object. @returns its etag; undefined: it was not as the condition wants it */
  async put(
    key: string,
    bytes: Uint8Array,
    { condition, blob = false }: { condition?: Condition; blob?: boolean } = {},
  ): Promise<string | undefined> {
    const input: PutObjectCommandInput = {
      ...this.at(key),
      ...this.encryption,
      ...(blob && this.storageClass),
      Body: bytes,
      ContentType: contentType,
      ...(condition === 'absent' && { IfNoneMatch: '*' }),
      ...(condition !== undefined && condition !== 'absent' && { IfMatch: condition.etag }),
    };
    try {
      return (await this.s3.putObject(input)).ETag ?? '';
    } catch (error) {
      if (condition !== undefined && isRefused(error)) return undefined;
      throw asS3Error('PutObject', error);
    }
  }

  /** A URL at which anyone can read an object, for so many seconds. */
  async presign(key: string, expiresIn: number): Promise<string> {
    try {
      const command = new GetObjectCommand({ ...this.at(key), ResponseContentType: contentType });
      return await getSignedUrl(this.s3, command, { expiresIn });
    } catch (error) {
      throw asS3Error('GetObject', error);
    }
  }

  /** Deletes objects, in the order given by the thousand. One that is not there does no harm. */
  async delete(keys: readonly string[]): Promise<void> {
    for (let from = 0; from < keys.length; from += mostDeleted) {
      const objects = keys.slice(from, from + mostDeleted).map((key) => ({ Key: this.at(key).Key }));
      try {
        const [only, ...others] = objects;
        if (only !== undefined && others.length === 0) {
          await this.s3.deleteObject({ Bucket: this.name, ...only });
          continue;
        }
        const answer = await this.s3.deleteObjects({ Bucket: this.name, Delete: { Objects: objects, Quiet: true } });
        const failed = answer.Errors?.find(({ Code: code }) => code !== 'NoSuchKey');
        if (failed !== undefined) throw new S3Error(`${failed.Code} of ${failed.Key}: ${failed.Message}`);
      } catch (error) {
        throw asS3Error('DeleteObjects', error);
      }
    }
  }

  /** Deletes an object, unless another one has taken its place. False: it has. */
  async deleteSame(key: string, { etag, modified }: Described): Promise<boolean> {
    const found = await this.stat(key);
    // What a disk has spoilt has the etag that it was written with, as whatever replaces it has.
    if (found === undefined || found.modified !== modified) return found === undefined;
    try {
      await this.s3.deleteObject({ ...this.at(key), IfMatch: etag });
      return true;
    } catch (error) {
      // Asked again because the first answer was lost, S3 does not have it any more.
      if (isRefused(error)) return (await this.stat(key)) === undefined;
      throw asS3Error('DeleteObject', error);
    }
  }

  /** All objects below a folder, in S3's order, which is that of bytes. */
  async *walk(folder: string, after = ''): AsyncGenerator<Listed, void, void> {
    const prefix = this.below(folder);
    // Asked for what sorts before the folder, S3 starts with it.
    const start = after > folder ? { StartAfter: this.at(after).Key } : {};
    for (let token: string | undefined, more = true; more; more = token !== undefined) {
      const page = await this.#list({
        Prefix: prefix,
        ...start,
        ...(token !== undefined && { ContinuationToken: token }),
      });
      for (const { Key: key = '', Size: size = 0, LastModified: modified } of page.Contents ?? []) {
        // What ends with a slash is a folder that another program made visible.
        if (!key.endsWith('/')) yield { key: this.keyOf(key), size, modified: modified?.getTime() ?? 0 };
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    }
  }

  /** What lies in a folder, in no order. */
  async entries(folder: string): Promise<Entry[]> {
    const prefix = this.below(folder);
    const entries: Entry[] = [];
    for (let token: string | undefined, more = true; more; more = token !== undefined) {
      const page = await this.#list({
        Prefix: prefix,
        Delimiter: '/',
        ...(token !== undefined && { ContinuationToken: token }),
      });
      for (const { Prefix: path = '' } of page.CommonPrefixes ?? []) {
        entries.push({ name: path.slice(prefix.length, -1), folder: true });
      }
      for (const { Key: key = '' } of page.Contents ?? []) {
        if (!key.endsWith('/')) entries.push({ name: key.slice(prefix.length), folder: false });
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    }
    return entries;
  }

  [Symbol.dispose](): void {
    this.s3.destroy();
    this.#reader.destroy();
  }

  async #open(s3: S3, key: string, span?: { start: number; end: number }): Promise<OpenObject | undefined> {
    try {
      const range = span && { Range: `bytes=${span.start}-${span.end}` };
      const answer = await s3.getObject({ ...this.at(key), ...range });
      const {
        Body: body,
        ContentRange: place,
        ContentLength: length = 0,
        ETag: etag = '',
        LastModified: modified,
      } = answer;
      if (!(body instanceof Readable)) throw new TypeError('the answer has no stream');
      const size = place === undefined ? length : Number(place.split('/')[1]);
      return { body, etag, size, modified: modified?.getTime() ?? 0 };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw asS3Error('GetObject', error);
    }
  }

  async #list(input: { Prefix: string; Delimiter?: string; StartAfter?: string; ContinuationToken?: string }) {
    try {
      return await this.s3.listObjectsV2({ Bucket: this.name, ...input });
    } catch (error) {
      throw asS3Error('ListObjectsV2', error);
    }
  }
}
