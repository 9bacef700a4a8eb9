import { join, resolve } from 'node:path';
import { z } from 'zod';
import { logRules, rateLimit } from './log-rules.ts';
import { address, count, duration, glob, location, network, optionalAddress, origin, path, size } from './values.ts';

/** What relative paths start at where there is no configuration file. */
export const packageRoot = resolve(import.meta.dirname, '../..');

/** Marks keys whose value is shown to nobody, and which can also be given as the name of a file (`…_file`). */
export const secrets = z.registry<{ secret: true }>();

function secret(least = 1) {
  const error = least === 1 ? 'expected a text that is not empty' : `expected at least ${least} characters`;
  const schema = z.string({ error: 'expected a text' }).min(least, { error });
  secrets.add(schema, { secret: true });
  return schema;
}

const text = z.string({ error: 'expected a text' }).min(1, { error: 'expected a text that is not empty' });
const flag = z.boolean({ error: 'expected true or false' });

const networks = z.array(network, { error: 'expected a list of networks' }).default([]);

const rule = z.strictObject({
  repositories: z.union([glob, z.array(glob)], { error: 'expected a pattern of names such as team-a/**, or a list' }),
  users: z.array(text, { error: 'expected a list of users, of * (who logged in) or anonymous' }),
  actions: z.array(z.enum(['pull', 'push', 'delete'], { error: 'expected pull, push or delete' }), {
    error: 'expected a list of pull, push and delete',
  }),
});

// Elasticsearch: "Data streams", "Naming": the parts of a data stream's name have no hyphen.
const streamPart = z
  .string({ error: 'expected a part of a data stream name, such as docker' })
  .regex(/^[a-z\d][a-z\d_.]{0,99}$/, { error: 'expected lower-case letters, digits, _ and . (no hyphen)' });

/** A SHA-256 as `openssl x509 -fingerprint -sha256` prints it; the colons may be left out. */
const fingerprint = z
  .string({ error: 'expected a SHA-256 in hex' })
  .regex(/^[\da-f]{2}(?::?[\da-f]{2}){31}$/i, { error: 'expected a SHA-256 in hex, such as 4F:1A:…' })
  .transform((hex) => (hex.replaceAll(':', '').toUpperCase().match(/../g) ?? []).join(':'));

/** Where is listened for what comes over TLS. */
function tls(base: string) {
  return z
    .strictObject({
      listen: optionalAddress.prefault('off'),
      cert: path(base).optional(),
      key: path(base).optional(),
      client_ca: path(base).optional(),
    })
    .prefault({});
}

// S3 User Guide, "General purpose bucket naming rules".
const bucket = z.string({ error: 'expected the name of a bucket' }).regex(/^[a-z\d][a-z\d.-]{1,61}[a-z\d]$/, {
  error: 'expected the name of a bucket: 3 to 63 lower-case letters, digits, . and -',
});

/** Those from which an object can be read at once. */
const storageClass = z.enum(
  ['STANDARD', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING', 'GLACIER_IR', 'REDUCED_REDUNDANCY'],
  { error: 'expected STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR or REDUCED_REDUNDANCY' },
);

const node = z
  .url({ protocol: /^https?$/, error: 'expected a URL such as http://127.0.0.1:9200' })
  .refine((url) => !/^\w+:\/\/[^/]*@/.test(url), {
    error: 'expected a URL without a user in it; use username and password',
  });

/** Every key that the configuration has; relative paths start at `base`. */
export function configSchema(base: string) {
  return z.strictObject({
    data: path(base).prefault(join(packageRoot, 'data')),
    http: z
      .strictObject({
        listen: address.prefault('127.0.0.1:5000'),
        public_url: origin.optional(),
        trusted_proxies: networks,
        idle_timeout: duration.prefault('60s'),
        shutdown_grace: duration.prefault('8s'),
        tls: z.strictObject({ cert: path(base).optional(), key: path(base).optional() }).prefault({}),
      })
      .prefault({}),
    auth: z
      .strictObject({
        htpasswd: path(base).optional(),
        rules: z
          .array(rule, {
            error: "expected a list such as [{ repositories: 'team-a/**', users: [ci], actions: [pull, push] }]",
          })
          .default([]),
        log_readers: z
          .array(
            text.refine((user) => user !== 'anonymous', {
              error: 'expected users: whoever does not log in cannot read logs',
            }),
            { error: 'expected a list of users' },
          )
          .default(['*']),
        // RFC 7518 section 3.2: "A key of the same size as the hash output or larger MUST be used".
        token_key: secret(32).optional(),
      })
      .prefault({}),
    storage: z
      .strictObject({
        read_only: flag.default(false),
        delete: flag.default(true),
        upload_expiry: duration.prefault('24h'),
        index_max_age: duration.prefault('60s'),
        driver: z.enum(['disk', 's3'], { error: 'expected disk or s3' }).default('disk'),
        disk: z
          .strictObject({
            root: path(base).optional(),
            free_space_reserve: size.prefault('1GiB'),
            accel_redirect: location.optional(),
          })
          .prefault({}),
        s3: z
          .strictObject({
            bucket: bucket.optional(),
            region: text.default('us-east-1'),
            endpoint: origin.optional(),
            prefix: text.optional(),
            force_path_style: flag.default(false),
            access_key_id: text.optional(),
            secret_access_key: secret().optional(),
            sse: z.enum(['none', 'AES256', 'aws:kms'], { error: 'expected none, AES256 or aws:kms' }).default('none'),
            kms_key_id: text.optional(),
            storage_class: storageClass.optional(),
            ca: path(base).optional(),
            redirect: flag.default(false),
          })
          .prefault({}),
      })
      .prefault({}),
    ingest: z
      .strictObject({
        syslog: z
          .strictObject({
            tcp: optionalAddress.prefault('127.0.0.1:5514'),
            udp: optionalAddress.prefault('127.0.0.1:5514'),
            unix: path(base).optional(),
            tls: tls(base),
            proxy_protocol: networks,
            allow: networks,
            max_connections: count.prefault(10_000),
            max_connections_per_source: count.prefault(1000),
            max_frame: size.prefault('1MiB'),
          })
          .prefault({}),
        http: z.strictObject({ tokens_file: path(base).optional() }).prefault({}),
        forward: z
          .strictObject({
            listen: optionalAddress.prefault('off'),
            unix: path(base).optional(),
            tls: tls(base),
            shared_key: secret().optional(),
          })
          .prefault({}),
        gelf: z
          .strictObject({ tcp: optionalAddress.prefault('off'), udp: optionalAddress.prefault('off') })
          .prefault({}),
        spool: z
          .strictObject({
            max_size: size.prefault('8GiB'),
            when_full: z.enum(['block', 'drop-oldest'], { error: 'expected block or drop-oldest' }).default('block'),
          })
          .prefault({}),
        rules: logRules,
        rate_limit: rateLimit.prefault('off'),
        tags: z
          .strictObject({
            cluster: text.default('default'),
            sources: z
              .array(z.strictObject({ cidr: network, cluster: text }), {
                error: 'expected a list such as [{ cidr: 10.1.0.0/16, cluster: prod }]',
              })
              .default([]),
          })
          .prefault({}),
      })
      .prefault({}),
    logs: z
      .strictObject({
        sink: z
          .enum(['embedded', 'elasticsearch'], { error: 'expected embedded or elasticsearch' })
          .default('embedded'),
        embedded: z.strictObject({ retention: duration.prefault('7d'), max_size: size.prefault('10GiB') }).prefault({}),
        elasticsearch: z
          .strictObject({
            nodes: z.array(node, { error: 'expected a list of URLs' }).default([]),
            username: text.optional(),
            password: secret().optional(),
            api_key: secret().optional(),
            ca: path(base).optional(),
            ca_fingerprint: fingerprint.optional(),
            compression: flag.default(false),
            dataset: streamPart.default('docker'),
            namespace: streamPart.default('default'),
            retention: duration.prefault('30d'),
            kibana: z
              .strictObject({
                url: node.optional(),
                username: text.optional(),
                password: secret().optional(),
                api_key: secret().optional(),
                ca: path(base).optional(),
              })
              .prefault({}),
          })
          .prefault({}),
      })
      .prefault({}),
  });
}

type Parsed = z.output<ReturnType<typeof configSchema>>;

/** How to reach Elasticsearch, and where documents go there. `retention` in ms. */
export type ElasticsearchConfig = Parsed['logs']['elasticsearch'];

/** Where log records are kept: one sink, with its settings. */
export type LogsConfig =
  | { readonly sink: 'embedded'; readonly embedded: Parsed['logs']['embedded'] }
  | { readonly sink: 'elasticsearch'; readonly elasticsearch: ElasticsearchConfig };

/** A bucket, and how it is reached and written to. */
export type S3Config = DeepReadonly<Omit<Parsed['storage']['s3'], 'bucket'>> & { readonly bucket: string };

/** Where images are kept, and for how long what is unfinished. */
export type StorageConfig = DeepReadonly<Omit<Parsed['storage'], 'driver' | 'disk' | 's3'>> & {
  readonly disk: DeepReadonly<Omit<Parsed['storage']['disk'], 'root'>> & { readonly root: string };
} & ({ readonly driver: 'disk' } | { readonly driver: 's3'; readonly s3: S3Config });

/**
 * All that shiplog can be told, as it is in force: paths are absolute, durations in ms, sizes in bytes. It is frozen.
 */
export interface Config extends DeepReadonly<Omit<Parsed, 'auth' | 'storage' | 'logs'>> {
  readonly auth: DeepReadonly<Omit<Parsed['auth'], 'htpasswd'>> & { readonly htpasswd: string };
  readonly storage: StorageConfig;
  readonly logs: DeepReadonly<LogsConfig>;
}

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** What is wrong with keys together, though each is right by itself. */
export function contradictions({ http, storage, ingest, logs }: Parsed): { key: string; message: string }[] {
  return [
    ...contradictionsOfHttp(http),
    ...contradictionsOfStorage(storage),
    ...contradictionsOfTls('ingest.syslog.tls', ingest.syslog.tls),
    ...contradictionsOfTls('ingest.forward.tls', ingest.forward.tls),
    ...contradictionsOfLogs(logs),
  ];
}

function contradictionsOfHttp({ tls: { cert, key } }: Parsed['http']): { key: string; message: string }[] {
  if ((cert === undefined) === (key === undefined)) return [];
  const [missing, given] = cert === undefined ? ['cert', 'key'] : ['key', 'cert'];
  return [{ key: `http.tls.${missing}`, message: `http.tls.${given} is given, so this is needed too` }];
}

function contradictionsOfStorage({ driver, s3 }: Parsed['storage']): { key: string; message: string }[] {
  if (driver !== 's3') {
    const message = 'storage.s3.bucket is given, so this must be s3; else leave that out';
    return s3.bucket === undefined ? [] : [{ key: 'storage.driver', message }];
  }
  const problems: { key: string; message: string }[] = [];
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

function contradictionsOfTls(
  section: string,
  tls: Parsed['ingest']['syslog']['tls'],
): { key: string; message: string }[] {
  if (tls.listen === 'off') return [];
  const missing = (['cert', 'key'] as const).filter((part) => tls[part] === undefined);
  const message = 'tls.listen is set, so this is needed too';
  return missing.map((part) => ({ key: `${section}.${part}`, message }));
}

function contradictionsOfLogs(logs: Parsed['logs']): { key: string; message: string }[] {
  if (logs.sink !== 'elasticsearch') return [];
  const { elasticsearch } = logs;
  const message = 'logs.sink is elasticsearch, so this must name at least one node';
  return [
    ...(elasticsearch.nodes.length === 0 ? [{ key: 'logs.elasticsearch.nodes', message }] : []),
    ...contradictionsOfTrust(elasticsearch),
    ...contradictionsOfCredentials('logs.elasticsearch', elasticsearch),
    ...contradictionsOfCredentials('logs.elasticsearch.kibana', elasticsearch.kibana),
  ];
}

function contradictionsOfTrust({
  nodes,
  ca,
  ca_fingerprint: print,
}: ElasticsearchConfig): { key: string; message: string }[] {
  if (print === undefined) return [];
  const key = 'logs.elasticsearch.ca_fingerprint';
  return [
    ...(ca === undefined ? [] : [{ key, message: 'give this or ca, not both' }]),
    ...(nodes.every((node) => node.startsWith('https:')) ? [] : [{ key, message: 'a node has a URL without https' }]),
  ];
}

function contradictionsOfCredentials(
  section: string,
  { username, password, api_key: apiKey }: Pick<ElasticsearchConfig, 'username' | 'password' | 'api_key'>,
): { key: string; message: string }[] {
  const problems: { key: string; message: string }[] = [];
  const add = (key: string, message: string) => problems.push({ key: `${section}.${key}`, message });
  if (apiKey !== undefined && username !== undefined) add('api_key', 'give this or a username, not both');
  if (username !== undefined && password === undefined) add('password', 'there is a username, so this is needed too');
  if (username === undefined && password !== undefined) add('username', 'there is a password, so this is needed too');
  return problems;
}

/** The configuration in force, of keys that are each right and do not contradict each other. */
export function complete(parsed: Parsed): Config {
  const { data, auth, storage, logs } = parsed;
  return deepFreeze({
    ...parsed,
    auth: { ...auth, htpasswd: auth.htpasswd ?? join(data, 'htpasswd') },
    storage: completeStorage(data, storage),
    logs:
      logs.sink === 'embedded'
        ? { sink: logs.sink, embedded: logs.embedded }
        : { sink: logs.sink, elasticsearch: logs.elasticsearch },
  });
}

function completeStorage(data: string, { driver, disk, s3, ...common }: Parsed['storage']): StorageConfig {
  const both = { ...common, disk: { ...disk, root: disk.root ?? join(data, 'registry') } };
  return driver === 'disk' ? { driver, ...both } : { driver, ...both, s3: { ...s3, bucket: s3.bucket ?? '' } };
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part);
  return Object.freeze(value);
}
