import { inBucket } from './ground.ts';
import { startS3 } from './s3.ts';

/** Where shiplogs under test keep their images: each has a place of its own there. */
export interface Store extends AsyncDisposable {
  /** The settings of one more shiplog. */
  settings(): Readonly<Record<string, string>>;
}

/** The kinds that there are, as they are named in what is printed. */
export const stores = [
  { store: 'disk', start: startDisk },
  { store: 'S3', start: startBuckets },
] as const;

async function startDisk(): Promise<Store> {
  return { settings: () => ({}), [Symbol.asyncDispose]: async () => undefined };
}

async function startBuckets(): Promise<Store> {
  const server = await startS3('versitygw');
  return {
    settings: () => inBucket(server).settings,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
