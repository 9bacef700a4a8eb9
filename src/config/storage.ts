import { z } from 'zod';
import type { Contradiction } from './contradiction.ts';
import { duration, flag, location, origin, path, secret, size, text } from './values.ts';

// S3 User Guide, "General purpose bucket naming rules".
const bucket = z.string({ error: 'expected the name of a bucket' }).regex(/^[a-z\d][a-z\d.-]{1,61}[a-z\d]$/, {
  error: 'expected the name of a bucket: 3 to 63 lower-case letters, digits, . and -',
});

/** Those from which an object can be read at once. */
const storageClass = z.enum(
  ['STANDARD', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING', 'GLACIER_IR', 'REDUCED_REDUNDANCY'],
  { error: 'expected STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR or REDUCED_REDUNDANCY' },
);

/** `storage`: where images are kept, and for how long what is unfinished. */
export function storage(base: string) {
  return z
    .strictObject({
      driver: z
        .enum(['disk', 's3'], { error: 'expected disk or s3' })
        .default('disk')
        .describe('Where images are kept.'),
      delete: flag.default(true).describe('Whether images can be deleted.'),
      read_only: flag
        .default(false)
        .describe(
          'Whether pushes and deletes are refused, by a 405: for the time of a backup, say, or of ' +
            "registry:2's garbage collection.",
        ),
      upload_expiry: duration
        .prefault('24h')
        .describe(
          'How long an unfinished upload is kept after its last request. Of a user who has more than 1,000 open, the ' +
            'oldest that have been idle for an hour end too; while pushes are refused for want of space, those that ' +
            'have been idle for five minutes.',
        ),
      index_max_age: duration
        .prefault('60s')
        .describe('How long the catalog may lag behind another writer on the same tree.'),
      disk: z
        .strictObject({
          root: path(base)
            .optional()
            .meta({ fallback: '`<data>/registry`' })
            .describe("The images, in registry:2's layout."),
          free_space_reserve: size
            .prefault('1GiB')
            .describe(
              'With less than that free, counting what running uploads have announced, pushes are refused with ' +
                '`no space left on device`; pulls and deletes go on.',
            ),
          accel_redirect: location
            .optional()
            .describe(
              "Behind an nginx that reads the images' folder itself: the path of its location on it, such as " +
                '`/_blobs/`. Only a trusted proxy is asked, and only where it says that it can ([nginx.md](nginx.md)).',
            ),
        })
        .prefault({}),
      s3: s3(base),
    })
    .prefault({});
}

function s3(base: string) {
  return z
    .strictObject({
      bucket: bucket
        .optional()
        .describe(
          "The images, in registry:2's layout. Several shiplogs may use one bucket, and beside them registry:2.",
        ),
      region: text.default('us-east-1').describe('The region of the bucket.'),
      endpoint: origin.optional().meta({ fallback: "Amazon's" }).describe('The URL of another server that speaks S3.'),
      prefix: text.optional().describe("What all keys start with: registry:2's `rootdirectory`."),
      force_path_style: flag
        .default(false)
        .describe(
          "Whether the bucket's name stands in the path instead of the host's name, as most servers but Amazon's want " +
            'it.',
        ),
      access_key_id: text
        .optional()
        .describe(
          'Together with the next; without them the AWS SDK looks for credentials: in its environment variables, ' +
            "shared files, or the machine's role.",
        ),
      secret_access_key: secret().optional().describe('Together with the one before.'),
      sse: z
        .enum(['none', 'AES256', 'aws:kms'], { error: 'expected none, AES256 or aws:kms' })
        .default('none')
        .describe('Encryption by the server; `none` leaves it to the bucket.'),
      kms_key_id: text.optional().meta({ fallback: "the bucket's" }).describe('With `aws:kms`: the key.'),
      storage_class: storageClass
        .optional()
        .meta({ kind: 'storage class', fallback: "the bucket's" })
        .describe(
          'That of blobs which were uploaded, such as `STANDARD_IA`; links, manifests and unfinished uploads are left ' +
            'in the standard one.',
        ),
      ca: path(base)
        .optional()
        .describe("A file with the certificates that sign the server's one, if the system does not know them."),
      redirect: flag
        .default(false)
        .describe(
          'Whether a GET of a blob is answered with a URL at which S3 gives the bytes for an hour, so that they do not ' +
            "pass through shiplog. Clients must reach the endpoint, under another host's name than the registry's.",
        ),
    })
    .prefault({});
}

/** What of it is wrong together. */
export function contradictionsOfStorage({ driver, s3 }: z.output<ReturnType<typeof storage>>): Contradiction[] {
  if (driver !== 's3') {
    const message = 'storage.s3.bucket is given, so this must be s3; else leave that out';
    return s3.bucket === undefined ? [] : [{ key: 'storage.driver', message }];
  }
  const problems: Contradiction[] = [];
  const add = (key: string, message: string) => problems.push({ key: `storage.s3.${key}`, message });
  const { bucket, access_key_id: id, secret_access_key: secret, sse, kms_key_id: kmsKey } = s3;
  if (bucket === undefined) add('bucket', 'storage.driver is s3, so this must name a bucket');
  if (id !== undefined && secret === undefined)
    add('secret_access_key', 'there is an access_key_id, so this is needed too');
  if (id === undefined && secret !== undefined)
    add('access_key_id', 'there is a secret_access_key, so this is needed too');
  if (kmsKey !== undefined && sse !== 'aws:kms') add('kms_key_id', 'this is of use only where sse is aws:kms');
  return problems;
}
