import { parallel } from '../parallel.ts';
import { contentType, type S3Bucket } from './s3-bucket.ts';
import { asS3Error, isAbsent } from './s3-errors.ts';
import { Multipart } from './s3-multipart.ts';

/**
 * A larger object is copied in slices of this size: one copy takes 5 GiB at most, and S3 may be silent until it is done.
 */
const sliceSize = 256 * 1024 * 1024;

/** Requests that one copy has under way. */
const width = 8;

/** Copies an object inside of S3. False: it is not there. */
export async function copyObject(bucket: S3Bucket, from: string, to: string, size: number): Promise<boolean> {
  if (size > sliceSize) return copySlices(bucket, from, to, size);
  try {
    await bucket.s3.copyObject({
      ...bucket.at(to),
      ...bucket.encryption,
      ...bucket.storageClass,
      CopySource: bucket.source(from),
      ContentType: contentType,
    });
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw asS3Error('CopyObject', error);
  }
}

async function copySlices(bucket: S3Bucket, from: string, to: string, size: number): Promise<boolean> {
  const count = Math.ceil(size / sliceSize);
  await assemble(bucket, to, { size, count, slices: true }, async (multipart, place) => {
    const start = place * sliceSize;
    await multipart.copy(place, from, { start, end: Math.min(start + sliceSize, size) - 1 });
  });
  return true;
}

/** Makes an object of `count` parts, some at a time; `part` makes one. */
export async function assemble(
  bucket: S3Bucket,
  key: string,
  { size, count, slices = false }: { size: number; count: number; slices?: boolean },
  part: (multipart: Multipart, place: number) => Promise<void>,
): Promise<void> {
  const multipart = await Multipart.begin(bucket, key, { slices });
  try {
    await parallel(Array.from({ length: count }).keys(), width, (place) => part(multipart, place));
    await multipart.complete(size);
  } catch (error) {
    await multipart.abort().catch(() => undefined);
    throw error;
  }
}
