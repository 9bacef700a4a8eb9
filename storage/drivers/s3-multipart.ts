import type { CompletedPart } from '@aws-sdk/client-s3';
import { contentType, type S3Bucket } from './s3-bucket.ts';
import { asS3Error, isOver } from './s3-errors.ts';

/** Parts that an object can have (S3 User Guide, "Amazon S3 multipart upload limits"). */
export const mostParts = 10_000;

/**
 * An object that is put together from parts, each of at least 5 MiB but the last. It is there, whole, once `complete`
 * resolves; until `complete` or `abort` its parts take room.
 */
export class Multipart {
  readonly #bucket: S3Bucket;
  readonly #key: string;
  readonly #id: string;
  readonly #checksum: 'CRC32' | undefined;
  readonly #parts: CompletedPart[] = [];

  private constructor(bucket: S3Bucket, key: string, id: string, checksum: 'CRC32' | undefined) {
    this.#bucket = bucket;
    this.#key = key;
    this.#id = id;
    this.#checksum = checksum;
  }

  /**
   * Begins a blob. Its checksum is one of the whole object, which a copy of it keeps. `slices`: where parts are spans of
   * other objects, the server is left to choose a checksum, since versitygw takes that of the whole source for theirs.
   */
  static async begin(bucket: S3Bucket, key: string, { slices = false } = {}): Promise<Multipart> {
    const checksum = slices ? undefined : 'CRC32';
    try {
      const { UploadId: id = '' } = await bucket.s3.createMultipartUpload({
        ...bucket.at(key),
        ...bucket.encryption,
        ...bucket.storageClass,
        ...(checksum !== undefined && { ChecksumAlgorithm: checksum, ChecksumType: 'FULL_OBJECT' }),
        ContentType: contentType,
      });
      return new Multipart(bucket, key, id, checksum);
    } catch (error) {
      throw asS3Error('CreateMultipartUpload', error);
    }
  }

  /** Puts a part of bytes; they are counted from 0. */
  async put(place: number, bytes: Uint8Array): Promise<void> {
    try {
      const query = { partNumber: String(place + 1), uploadId: this.#id };
      const { etag, checksum } = await this.#bucket.write(this.#key, [bytes], { query });
      this.#keep(place, { ETag: etag, ChecksumCRC32: checksum });
    } catch (error) {
      throw asS3Error('UploadPart', error);
    }
  }

  /** Makes a part of an object, or of a span of it, without the bytes passing here. */
  async copy(place: number, source: string, span?: { start: number; end: number }): Promise<void> {
    try {
      const { CopyPartResult: part = {} } = await this.#bucket.s3.uploadPartCopy({
        ...this.#part(place),
        CopySource: this.#bucket.source(source),
        ...(span !== undefined && { CopySourceRange: `bytes=${span.start}-${span.end}` }),
      });
      this.#keep(place, part);
    } catch (error) {
      throw asS3Error('UploadPartCopy', error);
    }
  }

  /** Makes the object, of `size` bytes, in place of whatever was there. */
  async complete(size: number): Promise<void> {
    try {
      await this.#bucket.s3.completeMultipartUpload({
        ...this.#upload(),
        ...(this.#checksum !== undefined && { ChecksumType: 'FULL_OBJECT' }),
        MultipartUpload: { Parts: this.#parts },
      });
    } catch (error) {
      // Asked again because the first answer was lost, S3 may know of the object only.
      if (isOver(error) && (await this.#bucket.stat(this.#key))?.size === size) return;
      throw asS3Error('CompleteMultipartUpload', error);
    }
  }

  /** Throws the parts away. */
  async abort(): Promise<void> {
    try {
      await this.#bucket.s3.abortMultipartUpload(this.#upload());
    } catch (error) {
      if (!isOver(error)) throw asS3Error('AbortMultipartUpload', error);
    }
  }

  #keep(
    place: number,
    { ETag, ChecksumCRC32 }: { ETag?: string | undefined; ChecksumCRC32?: string | undefined },
  ): void {
    this.#parts[place] = {
      PartNumber: place + 1,
      ...(ETag !== undefined && { ETag }),
      ...(this.#checksum !== undefined && ChecksumCRC32 !== undefined && { ChecksumCRC32 }),
    };
  }

  #upload(): { Bucket: string; Key: string; UploadId: string } {
    return { ...this.#bucket.at(this.#key), UploadId: this.#id };
  }

  #part(place: number): { Bucket: string; Key: string; UploadId: string; PartNumber: number } {
    return { ...this.#upload(), PartNumber: place + 1 };
  }
}
