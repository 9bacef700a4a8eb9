import { mkdir } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import type { ImageLookup } from '../ingest/images.ts';
import { CertificateError } from '../ingest/listeners/certificate.ts';
import { ListenerError } from '../ingest/listeners/open.ts';
import { StorageError } from '../storage/errors.ts';
import { openStore } from '../storage/store.ts';
import { authenticate } from './auth/authenticate.ts';
import { usersOnly } from './auth/authorize.ts';
import { createComparer } from './auth/comparer.ts';
import { openKeyFile } from './auth/key-file.ts';
import { Logins } from './auth/logins.ts';
import { isLoopback } from './auth/loopback.ts';
import { makeUser } from './auth/make-user.ts';
import { createRules } from './auth/rules.ts';
import { tokenEndpoint } from './auth/token-endpoint.ts';
import { Tokens } from './auth/tokens.ts';
import { hasCode } from './system-error.ts';
import { type Access, openUserFile } from './auth/user-file.ts';
import type { Config } from './config.ts';
import { formatAddress, type ListenAddress } from './config/address.ts';
import { cliKeyFile, stateFolder, tokenKeyFile, usersSeenFile } from './data-folder.ts';
import { createApp } from './http/app.ts';
import { healthRouter } from './http/health.ts';
import { createMetrics } from './http/metrics.ts';

import { publicUrlOf } from './http/public-url.ts';
import { listenHttp } from './http/server.ts';
import { tlsFilesOf } from './http/tls.ts';
import { openLogs } from './logs/open.ts';
import { logsReadiness } from './logs/readiness.ts';
import { measureLogs } from './logs/metrics.ts';
import { logRoutes } from './logs/router.ts';
import { openSenderTokens } from './logs/tokens.ts';
import type { LogPipeline } from './logs/pipeline.ts';
import { alone, type Colleagues } from './supervisor/colleagues.ts';
import type { Answer, Question } from './supervisor/messages.ts';
import { mergeMetrics } from './supervisor/metrics.ts';
import { Throttle } from './auth/throttle.ts';
import { Registry } from 'prom-client';
import { blockList, clusterRules } from './networks.ts';
import { openDriver } from './open-driver.ts';
import { besideRegistry, registryApi } from './registry/router.ts';
import { StartError } from './start-error.ts';
import { startStorageJobs } from './storage-jobs.ts';
import { watchStorage } from './storage-watch.ts';

/** A running service; disposing it is a graceful end: requests are finished, then logs, then storage. */
export interface Service extends AsyncDisposable {
  /** Where HTTP is served, with the real port. */
  readonly http: ListenAddress;
  /** Where logs are listened for beside HTTP, with the real ports. */
  readonly syslog: LogPipeline['addresses'];
  /** Who gets in at this moment. */
  readonly access: Access['mode'];
  /** Answers what a worker asks of all of them. */
  answer(question: Question): Promise<Answer>;
}

/** What a service is started with beside its configuration. */
export interface ServiceOptions {
  readonly log: Logger;
  /** Opens the log side; tests put another one in its place. */
  readonly openPipeline?: typeof openLogs;
  /** The workers of this machine, where this is not all of it. */
  readonly colleagues?: Colleagues;
}

/** Starts everything that a configuration asks for. What was started is ended again if a later part fails. */
export async function startService(config: Config, options: ServiceOptions): Promise<Service> {
  const { log, openPipeline = openLogs, colleagues = alone(async (question) => answer(question)) } = options;
  const { slot, count } = colleagues;
  await using stack = new AsyncDisposableStack();
  await mkdir(stateFolder(config.data), { recursive: true, mode: 0o700 });

  const { storage } = config;
  const driver = await openDriver(config);
  const store = stack.use(
    await openStore({
      driver,
      indexMaxAge: storage.index_max_age,
      freeSpaceReserve: storage.disk.free_space_reserve,
    }),
  );
  const watch = stack.use(await watchStorage({ driver, reserve: storage.disk.free_space_reserve, log }));
  if (!storage.read_only && slot === 0)
    stack.use(startStorageJobs({ store, driver, uploadExpiry: storage.upload_expiry, log }));

  const userFile = stack.use(
    await openUserFile({ file: config.auth.htpasswd, seenFile: usersSeenFile(config.data), log }),
  );
  if (userFile.access.mode === 'open' && userFile.broken !== undefined) {
    // Whoever made that file does not expect a server that is open to all.
    throw new StartError(
      `auth.htpasswd is ${userFile.file}, and cannot be used: ${userFile.broken}; make its users with: ${makeUser}`,
    );
  }
  if (userFile.access.mode === 'open' && !isLoopback(config.http.listen.host)) {
    throw new StartError(
      `http.listen is ${config.http.listen.host}, which other machines can reach, and there are no users yet; ` +
        `make one with: ${makeUser}`,
    );
  }
  const trustedProxies = blockList(config.http.trusted_proxies);
  const { accel_redirect: location } = storage.disk;
  const accel = storage.driver === 'disk' && location !== undefined ? { location, trustedProxies } : undefined;
  const auth = {
    userFile,
    logins: new Logins({
      file: userFile,
      comparer: stack.use(createComparer()),
      throttle: new Throttle(undefined, count),
    }),
    cliKey: await openKeyFile(cliKeyFile(config.data)),
    tokens: new Tokens({ userFile, key: config.auth.token_key ?? (await openKeyFile(tokenKeyFile(config.data))) }),
    policy: { rules: createRules(config.auth.rules), logReaders: config.auth.log_readers },
    realmOf: (request: IncomingMessage) => `${config.http.public_url ?? publicUrlOf(request, trustedProxies)}/token`,
  };

  const lookup: ImageLookup = async ({ repository, digest }) => {
    try {
      return await store.images.describe(repository, digest);
    } catch (error) {
      // A line may name anything; what no repository can be called is not known, now or later.
      if (error instanceof StorageError && error.code.endsWith('_INVALID')) return undefined;
      throw error;
    }
  };
  const { tokens_file: tokensFile } = config.ingest.http;
  const tokens = tokensFile === undefined ? undefined : stack.use(await openSenderTokens(tokensFile, log));
  const pipeline = stack.use(
    await openPipeline(
      config,
      { lookup, givesCluster: (cluster) => tokens?.givesCluster(cluster) === true },
      { log, colleagues },
    ).catch(explainListener),
  );
  const ending = new AbortController();
  const logs = logRoutes({
    pipeline,
    clusterOf: clusterRules(config.ingest.tags.sources),
    tokens,
    ending: ending.signal,
  });

  const registry = new Registry();
  const metrics = createMetrics(registry, async () => {
    const { answers, crew } = await colleagues.ask({ about: 'metrics' });
    return mergeMetrics(answers, crew, (shares) => pipeline.totals(shares));
  });
  measureLogs(registry, pipeline);
  const answer = async (question: Question): Promise<Answer> => {
    if (question.about === 'letters') {
      const ids = question.ids && new Set(question.ids);
      return { about: 'letters', removed: await pipeline.removeOwnLetters(ids) };
    }
    return { about: 'metrics', families: await registry.getMetricsAsJSON(), share: pipeline.share() };
  };
  const handler = createApp({
    log,
    metrics,
    trustedProxies,
    mount(app) {
      const health = healthRouter({ images: () => watch.readiness(), logs: () => logsReadiness(pipeline.status()) });
      for (const router of [health, tokenEndpoint(auth), logs.open]) app.use(besideRegistry(router.routes()));
      app.use(authenticate(auth));
      app.use(registryApi({ store, delete: storage.delete, readOnly: storage.read_only, accel }));
      app.use(usersOnly);
      app.use(metrics.router.routes());
      app.use(logs.users.routes());
    },
  });
  const http = stack.adopt(
    await listenHttp(handler, {
      listen: config.http.listen,
      idleTimeout: config.http.idle_timeout,
      shutdownGrace: config.http.shutdown_grace,
      tls: tlsFilesOf(config.http.tls),
      shared: count > 1,
      log,
    }).catch((error: unknown) => {
      if (error instanceof CertificateError) throw explainCertificate('http.tls', error);
      throw explainListen('http.listen', config.http.listen, error);
    }),
    // One grace for both: requests are finished while the syslog connections are.
    async (server) => {
      ending.abort();
      await Promise.all([server[Symbol.asyncDispose](), pipeline.drain()]);
    },
  );

  const parts = stack.move();
  return {
    http: http.address,
    syslog: pipeline.addresses,
    get access() {
      return userFile.access.mode;
    },
    answer,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Names the key that says where is listened, or the file that cannot be used. */
function explainListener(error: unknown): never {
  if (!(error instanceof ListenerError)) throw error;
  const { listener, place, cause } = error;
  if (cause instanceof CertificateError)
    throw explainCertificate(`ingest.${listener === 'forwardTls' ? 'forward' : 'syslog'}.tls`, cause);
  const keys = {
    tcp: 'syslog.tcp',
    udp: 'syslog.udp',
    tls: 'syslog.tls.listen',
    unix: 'syslog.unix',
    forward: 'forward.listen',
    forwardTls: 'forward.tls.listen',
    forwardUnix: 'forward.unix',
    gelfTcp: 'gelf.tcp',
    gelfUdp: 'gelf.udp',
  } as const;
  throw explainListen(`ingest.${keys[listener]}`, place, cause);
}

/** Names the key of the file that cannot be used. */
function explainCertificate(section: string, error: CertificateError): StartError {
  const keys = { cert: 'cert', key: 'key', clientCa: 'client_ca' } as const;
  return new StartError(`${section}.${keys[error.part]}: ${error.message}`, { cause: error });
}

/** Why a listener could not start, by the key that says where it listens. */
function explainListen(key: string, address: ListenAddress | string, error: unknown): unknown {
  const isPath = typeof address === 'string';
  const reasons = {
    EADDRINUSE: isPath ? 'a process listens there, or it is no socket' : 'another process listens there already',
    EADDRNOTAVAIL: 'this machine has no such address',
    EACCES: isPath ? 'there is no such folder, or this user may not write to it' : 'this user may not listen there',
    ENOTFOUND: 'there is no such host',
    EINVAL: 'the path is too long for a socket',
  };
  const place = isPath ? address : formatAddress(address);
  for (const [code, reason] of Object.entries(reasons)) {
    if (hasCode(error, code)) return new StartError(`${key} is ${place}: ${reason}`, { cause: error });
  }
  return error;
}
