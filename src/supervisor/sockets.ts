/**
 * Sockets that systemd listens on, and hands over at the start (sd_listen_fds(3)). Who comes while no worker accepts waits
 * there: the supervisor keeps them open for as long as it runs, and systemd beyond that.
 */
import { Socket } from 'node:net';
import type { Config, ListenAddress } from '../config.ts';
import { StartError } from '../start-error.ts';

/** The first descriptor of systemd's ("SD_LISTEN_FDS_START"). */
const first = 3;

/** What a socket is called (`FileDescriptorName=`) → the configuration with that socket in the place of its own. */
const names = {
  http: (config: Config, listen: ListenAddress): Config => ({ ...config, http: { ...config.http, listen } }),
  syslog: (config: Config, tcp: ListenAddress): Config => withSyslog(config, { tcp }),
  'syslog-udp': (config: Config, udp: ListenAddress): Config => withSyslog(config, { udp }),
  'syslog-tls': (config: Config, listen: ListenAddress): Config => {
    const { tls } = config.ingest.syslog;
    if (tls.cert !== undefined) return withSyslog(config, { tls: { ...tls, listen } });
    throw new StartError(
      'systemd gives a socket syslog-tls: ingest.syslog.tls.cert and ingest.syslog.tls.key are needed',
    );
  },
};

type SocketName = keyof typeof names;
type Syslog = Config['ingest']['syslog'];

function withSyslog(config: Config, changed: Partial<Syslog>): Config {
  return { ...config, ingest: { ...config.ingest, syslog: { ...config.ingest.syslog, ...changed } } };
}

/** One of them. */
export interface GivenSocket {
  readonly name: SocketName;
  /** Where it is bound. Of datagrams that is not known yet: any address, port 0. */
  readonly host: string;
  readonly port: number;
}

/** Those that a process was given. @throws {StartError} one has a name that is not known, or is no socket of its kind */
export function givenSockets(env: NodeJS.ProcessEnv, pid = process.pid): GivenSocket[] {
  const count = Number(env['LISTEN_PID']) === pid ? Number(env['LISTEN_FDS']) : 0;
  const given = (env['LISTEN_FDNAMES'] ?? '').split(':');
  return Array.from({ length: count }, (_, at) => {
    const name = nameOf(given[at] ?? '');
    if (given.indexOf(name) !== at) throw new StartError(`systemd gives two sockets that are called ${name}`);
    return { name, ...(name === 'syslog-udp' ? { host: '0.0.0.0', port: 0 } : placeOf(name, first + at)) };
  });
}

/** What a worker has open at its start: what the supervisor has, the channel to it, and the sockets. */
export function stdioOf(sockets: readonly GivenSocket[]): ('inherit' | 'ipc' | number)[] {
  return ['inherit', 'inherit', 'inherit', 'ipc', ...sockets.map((_, at) => first + at)];
}

/** A worker's configuration, with the sockets that it was given. @throws {StartError} one of them cannot be used */
export function withSockets(config: Config, sockets: readonly GivenSocket[]): Config {
  return sockets.reduce(
    (all, { name, host, port }, at) => names[name](all, { host, port, fd: first + 1 + at }),
    config,
  );
}

function nameOf(text: string): SocketName {
  const known: readonly string[] = Object.keys(names);
  if (isName(text)) return text;
  throw new StartError(
    `systemd gives a socket that is called ${text}; FileDescriptorName= is one of ${known.join(', ')}`,
  );
}

function isName(text: string): text is SocketName {
  return Object.hasOwn(names, text);
}

/** (Node does not close a descriptor that it was given unless it is told to.) */
function placeOf(name: SocketName, fd: number): ListenAddress {
  try {
    const bound = new Socket({ fd, readable: false, writable: false }).address();
    if ('address' in bound) return { host: bound.address, port: bound.port };
  } catch (cause) {
    throw new StartError(`systemd gives a socket that is called ${name}, and takes no connections`, { cause });
  }
  throw new StartError(`systemd gives a socket that is called ${name}, and has no port`);
}
