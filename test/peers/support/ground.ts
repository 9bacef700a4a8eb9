import { createHash } from 'node:crypto';
import { mkdtempDisposable, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { S3Server } from './s3.ts';

/** Where images are kept, empty at first, as shiplog and distribution are told of it. */
export interface Ground extends AsyncDisposable {
  /** The environment of shiplog. */
  readonly settings: Readonly<Record<string, string>>;
  /** A part of `storage` in distribution's configuration. */
  readonly storage: Readonly<Record<string, object>>;
  /** All that is there: path or key → content, or the hash of it where that is long. */
  read(): Promise<Map<string, string>>;
}

/** A folder. */
export async function onDisk(): Promise<Ground> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'shiplog-beside-'));
  return {
    settings: { SHIPLOG_STORAGE_DISK_ROOT: folder.path },
    storage: { filesystem: { rootdirectory: folder.path } },
    async read() {
      const found = new Map<string, string>();
      for (const entry of await readdir(folder.path, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        if (entry.isFile()) found.set(relative(folder.path, path), shorten(await readFile(path)));
      }
      return found;
    },
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}

/** A folder of a bucket, which stays. */
export function inBucket(server: S3Server): Ground {
  const {
    bucket,
    prefix,
    region,
    endpoint = '',
    credentials = { accessKeyId: '', secretAccessKey: '' },
  } = server.place();
  const { accessKeyId, secretAccessKey } = credentials;
  return {
    settings: {
      SHIPLOG_STORAGE_DRIVER: 's3',
      SHIPLOG_STORAGE_S3_BUCKET: bucket,
      SHIPLOG_STORAGE_S3_PREFIX: prefix,
      SHIPLOG_STORAGE_S3_REGION: region,
      SHIPLOG_STORAGE_S3_ENDPOINT: endpoint,
      SHIPLOG_STORAGE_S3_FORCE_PATH_STYLE: 'true',
      SHIPLOG_STORAGE_S3_ACCESS_KEY_ID: accessKeyId,
      SHIPLOG_STORAGE_S3_SECRET_ACCESS_KEY: secretAccessKey,
    },
    storage: {
      s3: {
        bucket,
        rootdirectory: prefix,
        region,
        regionendpoint: endpoint,
        // Release 2 does so wherever there is a `regionendpoint`, and ignores it.
        forcepathstyle: true,
        accesskey: accessKeyId,
        secretkey: secretAccessKey,
        secure: false,
      },
      redirect: { disable: true },
    },
    async read() {
      const found = new Map<string, string>();
      const within = { Bucket: bucket, Prefix: prefix.slice(1) };
      const { Contents: objects = [], IsTruncated: more } = await server.s3.listObjectsV2(within);
      if (more === true) throw new Error('there are more than a thousand objects');
      for (const { Key: key = '' } of objects) {
        const { Body: body } = await server.s3.getObject({ Bucket: bucket, Key: key });
        found.set(key.slice(prefix.length), shorten((await body?.transformToByteArray()) ?? new Uint8Array()));
      }
      return found;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function shorten(bytes: Uint8Array): string {
  return bytes.length > 200 ? createHash('sha256').update(bytes).digest('hex') : Buffer.from(bytes).toString('latin1');
}
