import { join, resolve } from 'node:path';
import { z } from 'zod';
import { auth } from './auth.ts';
import type { Contradiction } from './contradiction.ts';
import { contradictionsOfHttp, http } from './http.ts';
import { contradictionsOfIngest, ingest } from './ingest.ts';
import { contradictionsOfListeners } from './listeners.ts';
import { contradictionsOfLogs, logs } from './logs.ts';
import { contradictionsOfStorage, storage } from './storage.ts';
import { path, workers } from './values.ts';

/** What relative paths start at where there is no configuration file. */
export const packageRoot = resolve(import.meta.dirname, '../..');

/**
 * Every key that the configuration has; relative paths start at `base`. A key says itself what it is for
 * (`.describe()`), and `npm run docs` writes that into docs/configuration.md.
 */
export function configSchema(base: string) {
  return z.strictObject({
    data: path(base)
      .prefault(join(packageRoot, 'data'))
      .meta({ fallback: '`./data`' })
      .describe('Where everything lies that has no place of its own.'),
    workers: workers
      .prefault('auto')
      .meta({ fallback: '`auto`' })
      .describe(
        'Processes that share the work; `auto` is one for each core and 256 MiB of memory, 8 at most: [workers.md](workers.md).',
      ),
    http: http(base),
    auth: auth(base),
    storage: storage(base),
    ingest: ingest(base),
    logs: logs(base),
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
export function contradictions({ http, storage, ingest, logs }: Parsed): Contradiction[] {
  return [
    ...contradictionsOfHttp(http),
    ...contradictionsOfStorage(storage),
    ...contradictionsOfIngest(ingest),
    ...contradictionsOfLogs(logs),
    ...contradictionsOfListeners({ http, ingest }),
  ];
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
