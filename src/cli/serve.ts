import type { Logger } from 'pino';
import { type Config, ConfigError, formatAddress, type ListenAddress, loadConfig, printConfig } from '../config.ts';
import { type Service, startService } from '../service.ts';
import { makeUser } from '../auth/authenticate.ts';
import type { Command } from './command.ts';
import { tlsFilesOf } from '../http/tls.ts';
import { openLog } from '../log.ts';
import { parseOptions } from './options.ts';
import { catchEndSignals, onHangUp } from './signals.ts';

const usage = `Usage: shiplog [serve] [--config FILE]

Runs the server until it gets SIGTERM or SIGINT; a second one ends it at once. At SIGHUP it looks at
users and certificates at once, which it does by itself too, and says what else needs a new start.
The log is JSON on stdout, a line each; what is running where is also told on stderr, if that is a terminal.
`;

/** `shiplog serve` */
export const serve: Command = async ({ args, env, stdout, stderr }) => {
  const { values } = parseOptions(usage, {
    args: [...args],
    options: { config: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const config = loadConfig({ file: values.config, env });
  const log = openLog();
  using ending = catchEndSignals();
  const service = await startService(config, { log });
  const reload = async (): Promise<void> => {
    await service.reload();
    log.info({}, 'users and certificates were looked at again, as they are by themselves');
    tellChange(config, () => loadConfig({ file: values.config, env }), log);
  };
  using _reloading = onHangUp(() =>
    reload().catch((error: unknown) => log.error({ err: error }, 'reading again failed')),
  );

  const summary = summarize(config, service);
  if (stderr.isTTY === true) stderr.write(`shiplog is running\n${render(summary)}`);
  log.info(summary, 'started');

  const signal = await ending.first;
  log.info({ signal }, 'ending; a second signal ends it at once');
  await service[Symbol.asyncDispose]();
  log.info({}, 'ended');
  return 0;
};

/** Says whether a start would find another configuration than the one in force. */
function tellChange(config: Config, load: () => Config, log: Logger): void {
  try {
    if (printConfig(load()) === printConfig(config)) return;
    log.warn({}, 'the configuration is another now; that counts from the next start');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    log.error({ problems: error.problems }, 'the configuration can no longer be used; the next start would fail');
  }
}

/** What runs where, and who gets in. */
function summarize(config: Config, service: Service): Record<string, string> {
  const { data, http, auth, storage, logs } = config;
  const place = (address: ListenAddress | undefined): string =>
    address === undefined ? 'off' : formatAddress(address);
  const users = {
    open: `no users yet: open to everyone on this machine; make one with ${makeUser}`,
    users: `the users of ${auth.htpasswd}`,
    closed: `nobody: ${auth.htpasswd} is gone; make a user with ${makeUser}`,
  };
  return {
    http: `${tlsFilesOf(http.tls) === undefined ? 'http' : 'https'}://${formatAddress(service.http)}`,
    'syslog tcp': place(service.syslog.tcp),
    'syslog udp': place(service.syslog.udp),
    'syslog tls': place(service.syslog.tls),
    'syslog unix': service.syslog.unix ?? 'off',
    forward: place(service.syslog.forward),
    'forward tls': place(service.syslog.forwardTls),
    'forward unix': service.syslog.forwardUnix ?? 'off',
    'gelf tcp': place(service.syslog.gelfTcp),
    'gelf udp': place(service.syslog.gelfUdp),
    data,
    images: storage.driver === 's3' ? `the bucket ${storage.s3.bucket}` : storage.disk.root,
    logs: logs.sink === 'embedded' ? 'embedded store' : `Elasticsearch at ${logs.elasticsearch.nodes.join(', ')}`,
    users: users[service.access],
  };
}

function render(summary: Record<string, string>): string {
  return Object.entries(summary)
    .map(([name, value]) => `  ${name.padEnd(12)}  ${value}\n`)
    .join('');
}
