import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Log } from '../../ingest/log.ts';
import type { ImageLookup } from '../../ingest/images.ts';
import { createRenderer, type Renderer } from '../../ingest/parse/documents.ts';
import type { ListenOptions } from '../../ingest/listeners/open.ts';
import { openPipeline, type Pipeline } from '../../ingest/pipeline.ts';
import { openEmbedded } from '../../ingest/sinks/embedded.ts';
import type { ConnectionOptions } from '../../ingest/sinks/elasticsearch-client.ts';
import type { Sink } from '../../ingest/sinks/sink.ts';
import type { Config } from '../config.ts';
import { blockList, clusterRules, contains } from '../networks.ts';
import type { LogPipeline } from './pipeline.ts';
import { rulesOf } from './rules.ts';
import type { Colleagues } from '../supervisor/colleagues.ts';

/** What the log side asks of others. */
export interface Inquiries {
  readonly lookup: ImageLookup;
  /** Whether a sender's token gives it this cluster. */
  readonly givesCluster: (cluster: string) => boolean;
}

/** Opens the log side as the configuration has it. */
export async function openLogs(
  config: Config,
  { lookup, givesCluster }: Inquiries,
  { log, colleagues }: { readonly log: Logger; readonly colleagues: Colleagues },
): Promise<LogPipeline & AsyncDisposable> {
  const { data, http, ingest, logs } = config;
  const { dataset, namespace } = logs.sink === 'elasticsearch' ? logs.elasticsearch : embeddedStream;
  const { cluster: fallback, sources } = ingest.tags;
  const given = new Set(sources.map(({ cluster }) => cluster));
  const reserved = { has: (cluster: string) => given.has(cluster) || givesCluster(cluster) };
  const rules = rulesOf(config);
  const renderer = createRenderer({ clusters: { fallback, reserved }, dataset, namespace, lookup, rules, log });
  const pipeline = await openPipeline({
    data,
    listeners: listenOptions(ingest, colleagues),
    maxSpoolSize: Math.floor(ingest.spool.max_size / colleagues.count),
    whenSpoolFull: ingest.spool.when_full,
    clusterOf: clusterRules(sources),
    renderer,
    sink: await openSink(config, log),
    shutdownGrace: http.shutdown_grace,
    removeLetters: async (ids) => {
      const { answers } = await colleagues.ask({ about: 'letters', ids: ids && [...ids] });
      return answers.reduce((sum, answer) => sum + (answer.about === 'letters' ? answer.removed : 0), 0);
    },
    log,
  });
  return present(pipeline, renderer);
}

/** What this worker listens for: what one alone does is the first one's. */
function listenOptions({ syslog, forward, gelf }: Config['ingest'], { slot, count }: Colleagues): ListenOptions {
  const { tcp, udp, unix } = syslog;
  const [tls, forwardTls] = [securePlace(syslog.tls), securePlace(forward.tls)];
  const [allowed, proxies] = [blockList(syslog.allow), blockList(syslog.proxy_protocol)];
  return {
    ...(tcp !== 'off' && { tcp }),
    ...(unix !== undefined && { unix }),
    ...(tls && { tls }),
    ...(gelf.tcp !== 'off' && { gelfTcp: gelf.tcp }),
    ...(slot === 0 && {
      ...(udp !== 'off' && { udp }),
      ...(gelf.udp !== 'off' && { gelfUdp: gelf.udp }),
      ...(forward.listen !== 'off' && { forward: forward.listen }),
      ...(forwardTls && { forwardTls }),
      ...(forward.unix !== undefined && { forwardUnix: forward.unix }),
      ...(forward.shared_key !== undefined && { forwardKey: forward.shared_key }),
    }),
    maxFrame: syslog.max_frame,
    allows: (address) => syslog.allow.length === 0 || contains(allowed, address),
    isProxy: (address) => contains(proxies, address),
    maxConnections: Math.ceil(syslog.max_connections / count),
    maxConnectionsPerSource: syslog.max_connections_per_source,
  };
}

function securePlace({ listen, cert, key, client_ca: clientCa }: Config['ingest']['forward']['tls']) {
  if (listen === 'off' || cert === undefined || key === undefined) return undefined;
  return { listen, files: { cert, key, ...(clientCa !== undefined && { clientCa }) } };
}

/** The names that a record has in the embedded store, which has but one stream. */
const embeddedStream = { dataset: 'docker', namespace: 'default' } as const;

/** Opens the log store that the configuration names. */
export async function openSink({ data, logs }: Config, log: Log): Promise<Sink> {
  if (logs.sink === 'embedded') {
    const { retention, max_size: maxSize } = logs.embedded;
    return openEmbedded({ directory: join(data, 'logs'), retention, maxSize, log });
  }
  // Others need not wait for the client to be loaded.
  const { openElasticsearch } = await import('../../ingest/sinks/elasticsearch.ts');
  const { dataset, namespace, retention } = logs.elasticsearch;
  return openElasticsearch({ ...(await connectionTo(logs.elasticsearch)), dataset, namespace, retention, log });
}

type ElasticsearchConfig = Extract<Config['logs'], { readonly sink: 'elasticsearch' }>['elasticsearch'];

/** How Elasticsearch is reached. */
export async function connectionTo(elasticsearch: ElasticsearchConfig): Promise<ConnectionOptions> {
  const { nodes, username, password, api_key: apiKey, ca, ca_fingerprint: caFingerprint, compression } = elasticsearch;
  return {
    nodes,
    compression,
    ...(caFingerprint !== undefined && { caFingerprint }),
    ...(apiKey !== undefined && { auth: { apiKey } }),
    ...(username !== undefined && password !== undefined && { auth: { username, password } }),
    ...(ca !== undefined && { ca: await readFile(ca, 'utf8') }),
  };
}

/** The pipeline as the HTTP side sees it. */
function present(pipeline: Pipeline, renderer: Renderer): LogPipeline & AsyncDisposable {
  return {
    addresses: pipeline.addresses,
    accept: (block) => pipeline.accept(block),
    search: (request, signal) => pipeline.search(request, signal),
    histogram: (request, signal) => pipeline.histogram(request, signal),
    arrivals: (request, signal) => pipeline.arrivals(request, signal),
    deadLetters: pipeline.deadLetters,
    status: () => ({ ...pipeline.status(), ...renderer.counts }),
    removeOwnLetters: (ids) => pipeline.removeOwnLetters(ids),
    quarantineSize: () => pipeline.quarantineSize(),
    share: () => pipeline.share(),
    totals: (shares) => pipeline.totals(shares),
    drain: () => pipeline.drain(),
    [Symbol.asyncDispose]: () => pipeline[Symbol.asyncDispose](),
  };
}
