import { blobsFolder, rootFolder } from '../layout.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { asS3Error, isOver } from './s3-errors.ts';
import { recordKey } from './s3-record.ts';
import type { S3Uploads } from './s3-uploads.ts';

/** Removes the objects of uploads that have no record, and that nobody has written to for `age` ms. */
export async function sweepObjects(bucket: S3Bucket, uploads: S3Uploads, age: number): Promise<void> {
  const before = Date.now() - age;
  for await (const { id, touched, keys } of uploads.all()) {
    if (touched <= before && !keys.includes(recordKey(id))) await bucket.delete(keys);
  }
}

/** In ms: a blob that is sent in one request has so much time, whichever process it is sent to. */
const day = 86_400_000;

/**
 * Ends multipart uploads that were begun a day and `age` ms ago or earlier: those of blobs, which shiplog makes and registry:2
 * only for the moment of a copy. What registry:2 uploads lies below `repositories` until it is whole.
 */
export async function sweepMultiparts(bucket: S3Bucket, age: number): Promise<void> {
  const before = Date.now() - day - age;
  for (const folder of [blobsFolder, `${rootFolder}/_shiplog`]) {
    let marker: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
    while (marker !== undefined) {
      const page = await listMultiparts(bucket, { Prefix: bucket.below(folder), ...marker });
      for (const { Key: key, UploadId: id, Initiated: begun } of page.Uploads ?? []) {
        if (key === undefined || id === undefined || begun === undefined || begun.getTime() > before) continue;
        await abort(bucket, key, id);
      }
      const { IsTruncated: more, NextKeyMarker: key, NextUploadIdMarker: id } = page;
      marker =
        more === true && key !== undefined
          ? { KeyMarker: key, ...(id !== undefined && { UploadIdMarker: id }) }
          : undefined;
    }
  }
}

async function listMultiparts(
  bucket: S3Bucket,
  input: { Prefix: string; KeyMarker?: string; UploadIdMarker?: string },
) {
  try {
    return await bucket.s3.listMultipartUploads({ Bucket: bucket.name, ...input });
  } catch (error) {
    throw asS3Error('ListMultipartUploads', error);
  }
}

async function abort(bucket: S3Bucket, key: string, id: string): Promise<void> {
  try {
    await bucket.s3.abortMultipartUpload({ Bucket: bucket.name, Key: key, UploadId: id });
  } catch (error) {
    if (!isOver(error)) throw asS3Error('AbortMultipartUpload', error);
  }
}
