import type { Config } from '../config.ts';
import { formatAddress, type ListenAddress } from '../config/address.ts';
import { makeUser } from '../auth/make-user.ts';
import type { Command } from './command.ts';
import { openLog } from '../log.ts';
import { parseOptions } from './options.ts';
import { catchEndSignals, onHangUp } from './signals.ts';
import { type Running, Supervisor } from '../supervisor/supervisor.ts';
import { givenSockets } from '../supervisor/sockets.ts';
import { tellReady } from '../supervisor/notify.ts';
import { replaceWorkers } from '../supervisor/replace.ts';

const usage = `Usage: shiplog [serve] [--config FILE]

Runs the server until it gets SIGTERM or SIGINT; a second one ends it at once. At SIGHUP its workers are replaced, one
generation by the next, by such with the configuration and the program of that moment, while it goes on to serve.
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
  const log = openLog();
  using ending = catchEndSignals();
  await using supervisor = new Supervisor(givenSockets(env), log);
  supervisor.prepare();
  // The worker loads its program meanwhile, which takes longer.
  const { loadConfig } = await import('../config.ts');
  const load = (): Config => loadConfig({ file: values.config, env });
  const config = load();
  const replace = replaceWorkers(supervisor, { config, load, file: values.config, log });
  const starting = supervisor.start({ file: values.config, count: config.workers });
  using _replacing = onHangUp(() => starting.then(replace, () => undefined));
  const running = await starting;

  const summary = summarize(config, running);
  if (stderr.isTTY === true) stderr.write(`shiplog is running\n${render(summary)}`);
  log.info(summary, 'started');
  await tellReady(env, log);

  const signal = await ending.first;
  log.info({ signal }, 'ending; a second signal ends it at once');
  await supervisor[Symbol.asyncDispose]();
  log.info({}, 'ended');
  return 0;
};

/** What runs where, and who gets in. */
function summarize(config: Config, { http, syslog, access }: Running): Record<string, string> {
  const { data, auth, storage, logs } = config;
  const place = (address: ListenAddress | undefined): string =>
    address === undefined ? 'off' : formatAddress(address);
  const users = {
    open: `no users yet: open to everyone on this machine; make one with ${makeUser}`,
    users: `the users of ${auth.htpasswd}`,
    closed: `nobody: ${auth.htpasswd} is gone; make a user with ${makeUser}`,
  };
  return {
    http: `${config.http.tls.cert === undefined ? 'http' : 'https'}://${formatAddress(http)}`,
    'syslog tcp': place(syslog.tcp),
    'syslog udp': place(syslog.udp),
    'syslog tls': place(syslog.tls),
    'syslog unix': syslog.unix ?? 'off',
    forward: place(syslog.forward),
    'forward tls': place(syslog.forwardTls),
    'forward unix': syslog.forwardUnix ?? 'off',
    'gelf tcp': place(syslog.gelfTcp),
    'gelf udp': place(syslog.gelfUdp),
    data,
    workers: String(config.workers),
    images: storage.driver === 's3' ? `the bucket ${storage.s3.bucket}` : storage.disk.root,
    logs: logs.sink === 'embedded' ? 'embedded store' : `Elasticsearch at ${logs.elasticsearch.nodes.join(', ')}`,
    users: users[access],
  };
}

function render(summary: Record<string, string>): string {
  return Object.entries(summary)
    .map(([name, value]) => `  ${name.padEnd(12)}  ${value}\n`)
    .join('');
}
