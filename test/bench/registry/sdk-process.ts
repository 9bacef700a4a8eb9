import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { S3 } from '@aws-sdk/client-s3';
import type { S3Options } from '../../../storage/drivers/s3.ts';
import { parallel } from '../../../storage/parallel.ts';

/** Objects to put, or to get that were put. */
export interface SdkJob {
  readonly does: 'put' | 'get';
  readonly place: S3Options;
  readonly count: number;
  /** In bytes. */
  readonly size: number;
  readonly atOnce: number;
  /** Others have other objects. */
  readonly round: number;
}

/** How long a job took. */
export interface SdkAnswer {
  readonly seconds: number;
}

/** Of a multipart upload, as `Upload` of @aws-sdk/lib-storage has it: what is larger goes up in parts, four at once. */
const [partSize, partsAtOnce] = [8 * 1024 * 1024, 4];

const content = randomBytes(partSize);

async function put(s3: S3, object: { Bucket: string; Key: string }, size: number): Promise<void> {
  if (size <= partSize) return void (await s3.putObject({ ...object, Body: content.subarray(0, size) }));
  const { UploadId } = await s3.createMultipartUpload({ ...object, ChecksumAlgorithm: 'CRC32' });
  const Parts = await parallel(Array.from({ length: size / partSize }).keys(), partsAtOnce, async (place) => {
    const part = { ...object, UploadId, PartNumber: place + 1 };
    const { ETag, ChecksumCRC32 } = await s3.uploadPart({ ...part, Body: content, ChecksumAlgorithm: 'CRC32' });
    return { PartNumber: place + 1, ETag, ChecksumCRC32 };
  });
  await s3.completeMultipartUpload({ ...object, UploadId, MultipartUpload: { Parts } });
}

async function get(s3: S3, object: { Bucket: string; Key: string }): Promise<void> {
  const { Body: body } = await s3.getObject(object);
  if (!(body instanceof Readable)) throw new TypeError('the answer has no stream');
  body.resume();
  await new Promise((resolve, reject) => body.once('end', resolve).once('error', reject));
}

async function work({ does, place, count, size, atOnce, round }: SdkJob): Promise<SdkAnswer> {
  const { bucket, region, endpoint = '', credentials = { accessKeyId: '', secretAccessKey: '' } } = place;
  s3 ??= new S3({ region, endpoint, forcePathStyle: true, credentials });
  const client = s3;
  const began = performance.now();
  await parallel(Array.from({ length: count }).keys(), atOnce, async (number) => {
    const object = { Bucket: bucket, Key: `${round}/${number}` };
    await (does === 'put' ? put(client, object, size) : get(client, object));
  });
  return { seconds: (performance.now() - began) / 1000 };
}

let s3: S3 | undefined;
process.on('message', (job: SdkJob) => void work(job).then((answer) => process.send?.(answer)));
process.once('disconnect', () => s3?.destroy());
