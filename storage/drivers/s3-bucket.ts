import { crc32 } from 'node:zlib';
import { GetObjectCommand, type S3, type ServerSideEncryption, type StorageClass } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { splitDigest } from '../digest.ts';
import type { Entry, Span } from '../driver.ts';
import { blobOfKey } from '../layout.ts';
import { checksumHeader, type Described, describe, openAnswer, type OpenObject, whole } from './s3-answer.ts';
import { type Agents, openAgents, openClient, type S3Options } from './s3-client.ts';
import { asS3Error, isAbsent, isNotFound, isRefused, S3Error } from './s3-errors.ts';
import { type ObjectRequest, openWire, type S3Wire } from './s3-wire.ts';

/** An object that is listed. */
export interface Listed {
  readonly key: string;
  readonly size: number;
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
  readonly #wire: S3Wire;
  readonly #agents: Agents;
  /** For what is read as fast as others take it. */
  readonly #readers: Agents;
  readonly #prefix: string;

  private constructor(options: S3Options, parts: { s3: S3; wire: S3Wire; agents: Agents }) {
    this.s3 = parts.s3;
    this.#wire = parts.wire;
    this.#agents = parts.agents;
    this.#readers = openAgents(options, Infinity);
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

  /** @throws what the SDK says, where the bucket is not there or may not be used */
  static async open(options: S3Options): Promise<S3Bucket> {
    const agents = openAgents(options, mostRequests);
    const s3 = openClient(options, agents);
    try {
      // Unlike that of HeadBucket, a failure has a body, which says why.
      await s3.listObjectsV2({ Bucket: options.bucket, MaxKeys: 1 });
      return new S3Bucket(options, { s3, wire: await openWire(s3, options), agents });
    } catch (error) {
      s3.destroy();
      throw error;
    }
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
      return describe(await this.#wire.ask({ method: 'HEAD', key: this.#prefix + key }, this.#agents));
    } catch (error) {
      if (!isNotFound(error)) throw asS3Error('HeadObject', error);
    }
    // A HEAD's answer has no body to say whether it was the key that is not there, or the bucket.
    const found = await this.#open(this.#agents, key);
    found?.destroy();
    return found;
  }

  /** All bytes, which are checked against S3's checksum, or those of a span which lies in the object. */
  open(key: string, span?: Span): Promise<OpenObject | undefined> {
    return this.#open(this.#readers, key, span);
  }

  /** A small object as a whole. Undefined: it is not there, or holds more than `limit` bytes. */
  async get(key: string, limit: number): Promise<(Described & { readonly bytes: Uint8Array }) | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#open(this.#agents, key);
      try {
        if (found === undefined || found.size > limit) return undefined;
        const pieces: Uint8Array[] = [];
        for await (const piece of found.body) pieces.push(piece);
        const { size, etag, modified } = found;
        return { bytes: Buffer.concat(pieces), size, etag, modified };
      } catch (error) {
        if (attempt === 3) throw asS3Error('GetObject', error);
      } finally {
        found?.destroy();
      }
    }
  }

  /** Writes an object. @returns its etag; undefined: it was not as the condition wants it */
  async put(
    key: string,
    bytes: Uint8Array | readonly Uint8Array[],
    { condition, blob = false }: { condition?: Condition; blob?: boolean } = {},
  ): Promise<string | undefined> {
    const { ServerSideEncryption: encryption, SSEKMSKeyId: kmsKey } = this.encryption;
    const { StorageClass: storageClass } = this.storageClass;
    const headers = {
      'content-type': contentType,
      ...(encryption !== undefined && { 'x-amz-server-side-encryption': encryption }),
      ...(kmsKey !== undefined && { 'x-amz-server-side-encryption-aws-kms-key-id': kmsKey }),
      ...(blob && storageClass !== undefined && { 'x-amz-storage-class': storageClass }),
      ...(condition === 'absent' && { 'if-none-match': '*' }),
      ...(condition !== undefined && condition !== 'absent' && { 'if-match': condition.etag }),
    };
    try {
      return (await this.write(key, [bytes].flat(), { headers, sha256: blob ? sha256OfKey(key) : undefined })).etag;
    } catch (error) {
      if (condition !== undefined && isRefused(error)) return undefined;
      throw asS3Error('PutObject', error);
    }
  }

  /** Sends bytes with their checksum. @returns their etag, and the checksum that the server keeps with them, if it does */
  async write(
    key: string,
    body: readonly Uint8Array[],
    { headers = {}, query = {}, sha256 }: Pick<ObjectRequest, 'headers' | 'query' | 'sha256'>,
  ): Promise<{ etag: string; checksum: string | undefined }> {
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(body.reduce((sum, piece) => crc32(piece, sum), 0));
    const sum = { [checksumHeader]: checksum.toString('base64'), 'x-amz-sdk-checksum-algorithm': 'CRC32' };
    const answer = await this.#wire.ask(
      { method: 'PUT', key: this.#prefix + key, query, headers: { ...headers, ...sum }, body, sha256 },
      this.#agents,
    );
    const kept = answer[checksumHeader];
    return { etag: answer.etag ?? '', checksum: typeof kept === 'string' ? kept : undefined };
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
          await this.#wire.ask({ method: 'DELETE', key: only.Key }, this.#agents);
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
    this.#readers.plain.destroy();
    this.#readers.tls.destroy();
  }

  async #open(agents: Agents, key: string, span?: Span): Promise<OpenObject | undefined> {
    const headers = span === undefined ? whole : { range: `bytes=${span.start}-${span.end}` };
    try {
      return openAnswer(await this.#wire.send({ method: 'GET', key: this.#prefix + key, headers }, agents));
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

/** What a blob's key says of its bytes: others would be refused. */
function sha256OfKey(key: string): string | undefined {
  const digest = blobOfKey(key);
  if (digest === undefined) return undefined;
  const { algorithm, hex } = splitDigest(digest);
  return algorithm === 'sha256' ? hex : undefined;
}
