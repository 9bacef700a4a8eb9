import { readFile } from 'node:fs/promises';
import type { Driver } from '../storage/driver.ts';
import type { S3Options } from '../storage/drivers/s3.ts';
import type { S3Config } from './config/schema.ts';
import { StartError } from './start-error.ts';

/**
 * Opens the bucket in which images are kept.
 * @throws {StartError} where it is not there, or not to be reached in the way that is configured
 */
export async function openBucket(config: S3Config): Promise<Driver> {
  // Others need not wait for the SDK to be loaded.
  const { openS3 } = await import('../storage/drivers/s3.ts');
  const options = await optionsOf(config);
  try {
    return await openS3(options);
  } catch (error) {
    throw explain(config, error);
  }
}

async function optionsOf(config: S3Config): Promise<S3Options> {
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, sse } = config;
  return {
    bucket: config.bucket,
    region: config.region,
    endpoint: config.endpoint,
    prefix: config.prefix,
    forcePathStyle: config.force_path_style,
    credentials:
      accessKeyId === undefined || secretAccessKey === undefined ? undefined : { accessKeyId, secretAccessKey },
    encryption: sse === 'none' ? undefined : sse,
    kmsKeyId: config.kms_key_id,
    storageClass: config.storage_class,
    redirect: config.redirect,
    ca: config.ca === undefined ? undefined : await readCertificates(config.ca),
  };
}

async function readCertificates(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new StartError(`storage.s3.ca is ${file}, which cannot be read`, { cause });
  }
}

/** What S3's codes, and the system's, say of the configuration. */
function explain(config: S3Config, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { bucket, region, endpoint = 'Amazon S3' } = config;
  // Without it the bucket is a part of the host's name.
  const pathStyle =
    config.endpoint === undefined || config.force_path_style
      ? ''
      : `, or none for the bucket: if the server has it in the path, set storage.s3.force_path_style to true`;
  const reasons: Readonly<Record<string, string>> = {
    NoSuchBucket: `storage.s3.bucket is ${bucket}: there is no such bucket`,
    InvalidAccessKeyId: `storage.s3.access_key_id is ${config.access_key_id}, which ${endpoint} does not know`,
    SignatureDoesNotMatch: `storage.s3.secret_access_key is not that of storage.s3.access_key_id`,
    AccessDenied: `storage.s3.bucket is ${bucket}, which these credentials may not list`,
    CredentialsProviderError: 'storage.s3.access_key_id is not set, and the SDK finds no credentials elsewhere',
    PermanentRedirect: `storage.s3.region is ${region}, and the bucket is in another one`,
    AuthorizationHeaderMalformed: `storage.s3.region is ${region}, and the bucket is in another one`,
    InvalidBucketName: `storage.s3.bucket is ${bucket}, which ${endpoint} takes for no name`,
    ECONNREFUSED: `storage.s3.endpoint is ${endpoint}: nothing listens there`,
    ENOTFOUND: `storage.s3.endpoint is ${endpoint}: there is no such host${pathStyle}`,
    EPROTO: `storage.s3.endpoint is ${endpoint}: it does not speak TLS`,
    TimeoutError: `storage.s3.endpoint is ${endpoint}: it does not answer`,
  };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  const reason = reasons[code] ?? reasons[error.name];
  if (reason !== undefined) return new StartError(reason, { cause: error });
  if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code)) {
    return new StartError(`storage.s3.ca: the certificate of ${endpoint} is not to be trusted (${code})`, {
      cause: error,
    });
  }
  if (/XML|Deserialization|UnknownError/.test(error.message)) {
    return new StartError(`storage.s3.endpoint is ${endpoint}: what answers there does not speak S3`, { cause: error });
  }
  return new StartError(`storage.s3: the bucket ${bucket} cannot be used: ${error.name}: ${error.message}`, {
    cause: error,
  });
}
