import { hostname } from 'node:os';
import { isLoopback } from '../auth/loopback.ts';
import { type Config, formatAddress, loadConfig } from '../config.ts';
import { type Command, CommandError, UsageError } from './command.ts';
import { parseOptions } from './options.ts';
import { print } from './print.ts';

const usage = `Usage: shiplog docker-options [--daemon] [OPTIONS]

Prints the options of \`docker run\` by which a container's log comes here, with all that is known of it.

  --daemon             what makes them the default of a whole host instead: the content of its /etc/docker/daemon.json
  --address URL        where Docker sends to: tcp://HOST:PORT, udp://HOST:PORT, tcp+tls://HOST:PORT or unix://PATH;
                       else where the configuration listens
  --cluster NAME       the cluster of the host; else that of the configuration (ingest.tags.cluster)
  --config FILE        the configuration file
`;

/** What each container may have waiting in memory while shiplog takes nothing; then its lines are dropped, not its writes blocked. */
const buffer = '4m';

/** `shiplog docker-options` */
export const dockerOptions: Command = async ({ args, env, stdout, stderr }) => {
  const { values } = parseOptions(usage, {
    args: [...args],
    options: {
      daemon: { type: 'boolean' },
      address: { type: 'string' },
      cluster: { type: 'string' },
      config: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const config = loadConfig({ file: values.config, env });
  const address = values.address === undefined ? addressOf(config) : checkAddress(values.address);
  const options = logOptions(config, address, values.cluster ?? config.ingest.tags.cluster);
  await print(stdout, values.daemon === true ? renderDaemon(options) : renderRun(options));
  stderr.write(advice(address, values.daemon === true));
  return 0;
};

/** Docker's options of its log driver. All values of daemon.json are texts. */
function logOptions({ ingest }: Config, address: string, cluster: string): Readonly<Record<string, string>> {
  if (!/^[^\s|"'{}]{1,255}$/.test(cluster)) {
    throw new UsageError(`a cluster's name has no white space, quotes, braces or |, so it is not ${cluster}`);
  }
  return {
    'syslog-address': address,
    'syslog-format': 'rfc5424micro',
    ...(address.startsWith('tcp+tls:') && { 'syslog-tls-ca-cert': '/etc/docker/shiplog-ca.pem' }),
    ...(address.startsWith('tcp+tls:') &&
      ingest.syslog.tls.client_ca !== undefined && {
        'syslog-tls-cert': '/etc/docker/shiplog-client.pem',
        'syslog-tls-key': '/etc/docker/shiplog-client.key',
      }),
    mode: 'non-blocking',
    'max-buffer-size': buffer,
    tag: `v1|{{.FullID}}|{{.Name}}|{{.ImageName}}|{{.ImageFullID}}|{{.Hostname}}|${cluster}`,
  };
}

/** Where the configuration listens: TCP rather than what is encrypted, or loses lines. */
function addressOf({ ingest: { syslog } }: Config): string {
  const { tcp, tls, unix, udp } = syslog;
  const at = ({ host, port }: { host: string; port: number }): string =>
    formatAddress({ host: ['0.0.0.0', '::'].includes(host) ? hostname() : host, port });
  if (tcp !== 'off') return `tcp://${at(tcp)}`;
  if (tls.listen !== 'off') return `tcp+tls://${at(tls.listen)}`;
  if (unix !== undefined) return `unix://${unix}`;
  if (udp !== 'off') return `udp://${at(udp)}`;
  throw new CommandError('ingest.syslog listens nowhere: set ingest.syslog.tcp, or give --address');
}

function checkAddress(text: string): string {
  if (/^(?:tcp|udp|tcp\+tls):\/\/(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}$|^unix:\/\/\/[^\s'"]+$/.test(text)) return text;
  throw new UsageError(`expected an address such as tcp://logs.corp:5514, not ${text}`);
}

function renderRun(options: Readonly<Record<string, string>>): string {
  const lines = Object.entries(options).map(([name, value]) => {
    const text = `${name}=${value}`;
    return `--log-opt ${/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text}'`}`;
  });
  return `${['--log-driver=syslog', ...lines].join(' \\\n')}\n`;
}

function renderDaemon(options: Readonly<Record<string, string>>): string {
  return `${JSON.stringify({ 'log-driver': 'syslog', 'log-opts': options }, undefined, 2)}\n`;
}

function advice(address: string, daemon: boolean): string {
  const host = /:\/\/\[?([^\]]*?)\]?:\d+$/.exec(address)?.[1];
  const here = host !== undefined && isLoopback(host);
  const notes = [
    here && `${address} is this machine's own: hosts elsewhere need --address, and ingest.syslog.tcp off the loopback.`,
    address.startsWith('tcp+tls:') && 'The certificates (PEM) must lie on the host where the options name them.',
    daemon &&
      'Put it into /etc/docker/daemon.json (what else stands there stays), then restart Docker; it counts for containers that are made from then on.',
    'Containers that shiplog itself needs must not log to it: it, a proxy before it, Elasticsearch. Else, after a reboot, Docker ' +
      'does not start them, for the address does not answer yet. Give these, in their compose file:\n' +
      '  logging: { driver: local }\nor to docker run: --log-driver=local',
    `While shiplog is away, a container has ${buffer} of lines waiting, and then loses lines; with mode=blocking it would stand still.`,
  ];
  return notes.map((note) => (note === false ? '' : `# ${note.replaceAll('\n', '\n# ')}\n`)).join('');
}
