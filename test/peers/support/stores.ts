import type { S3Options } from '../../../storage/drivers/s3.ts';
import { startS3 } from './s3.ts';

/** Where shiplogs under test keep their images: each has a place of its own there. */
export interface Store extends AsyncDisposable {
  /** The settings of one more shiplog. */
  settings(): Promise<Record<string, string>>;
}

/** The kinds that there are, as they are named in what is printed. */
export const stores = [
  { store: 'disk', start: startDisk },
  { store: 'S3', start: startBuckets },
] as const;

async function startDisk(): Promise<Store> {
  return { settings: async () => ({}), [Symbol.asyncDispose]: async () => undefined };
}

async function startBuckets(): Promise<Store> {
  const server = await startS3('versitygw');
  return {
    settings: async () => settingsOf(server.place()),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** The environment that makes shiplog keep its images in a bucket. */
export function settingsOf({
  bucket,
  prefix = '',
  region,
  endpoint = '',
  credentials,
}: S3Options): Record<string, string> {
  return {
    SHIPLOG_STORAGE_DRIVER: 's3',
    SHIPLOG_STORAGE_S3_BUCKET: bucket,
    SHIPLOG_STORAGE_S3_PREFIX: prefix,
    SHIPLOG_STORAGE_S3_REGION: region,
    SHIPLOG_STORAGE_S3_ENDPOINT: endpoint,
    SHIPLOG_STORAGE_S3_FORCE_PATH_STYLE: 'true',
    SHIPLOG_STORAGE_S3_ACCESS_KEY_ID: credentials?.accessKeyId ?? '',
    SHIPLOG_STORAGE_S3_SECRET_ACCESS_KEY: credentials?.secretAccessKey ?? '',
  };
}
