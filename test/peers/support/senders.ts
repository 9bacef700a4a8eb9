import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { machine } from './cache.ts';
import { type Daemon, run, startDaemon } from './process.ts';

/** A program that sends syslog, with a folder for what it is given. */
export interface Sender extends AsyncDisposable {
  readonly folder: string;
}

/** Starts a program on a configuration of its own, as a file in its folder. */
export async function startSender(
  command: string,
  name: string,
  config: (folder: string) => string,
  args: (folder: string) => readonly string[],
  ready: (folder: string) => Promise<boolean>,
  env: Readonly<Record<string, string>> = {},
): Promise<Sender> {
  const folder = await mkdtemp(join(tmpdir(), `shiplog-${name}-`));
  let daemon: Daemon | undefined;
  try {
    await writeFile(join(folder, 'config'), config(folder));
    daemon = await startDaemon(command, args(folder), () => ready(folder), { env });
  } catch (error) {
    await rm(folder, { recursive: true });
    throw error;
  }
  return {
    folder,
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

/**
 * Debian's rsyslogd. What is written to the unix datagram socket `log` in its folder goes where the rules say.
 * @param rules in RainerScript, behind the modules
 */
export function startRsyslog(rules: string): Promise<Sender> {
  const config = (folder: string): string => `
    global(workDirectory="${folder}")
    module(load="imuxsock" SysSock.Use="off")
    input(type="imuxsock" Socket="${folder}/log")
    ${rules}
  `;
  return startSender(
    '/usr/sbin/rsyslogd',
    'rsyslog',
    config,
    (folder) => ['-n', '-f', join(folder, 'config'), '-i', join(folder, 'pid')],
    async (folder) => (await stat(join(folder, 'log'))).isSocket(),
  );
}

/** nginx, which answers on a port with 200 and nothing. @param http what stands in its server besides */
export function startNginx(port: number, http: string): Promise<Sender> {
  const config = (folder: string): string => `
    daemon off;
    pid ${folder}/pid;
    error_log stderr;
    events {}
    http {
      client_body_temp_path ${folder}/body;
      proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi;
      uwsgi_temp_path ${folder}/uwsgi;
      scgi_temp_path ${folder}/scgi;
      server { listen 127.0.0.1:${port}; ${http} location / { return 200; } location /gone { root ${folder}; } }
    }
  `;
  return startSender(
    '/usr/sbin/nginx',
    'nginx',
    config,
    (folder) => ['-c', join(folder, 'config'), '-p', folder, '-e', join(folder, 'error.log')],
    () => answers(port),
  );
}

/** HAProxy; it is ready when it listens on a port. */
export function startHaproxy(port: number, config: string): Promise<Sender> {
  return startSender(
    '/usr/sbin/haproxy',
    'haproxy',
    () => `defaults\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n${config}`,
    (folder) => ['-f', join(folder, 'config'), '-db'],
    () => answers(port),
  );
}

/** Whether someone listens on a port of the loopback. */
async function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1', () => resolve(true));
  socket.on('error', () => resolve(false));
  return promise.finally(() => void socket.destroy());
}

/** util-linux's logger(1). */
export async function logger(args: readonly string[], input?: string): Promise<void> {
  await run('/usr/bin/logger', args, input === undefined ? {} : { input });
}

/**
 * Runs `go-sender`, which is built by Go's own cache: Go's `log/syslog`, or the forward protocol of fluent-forward-go.
 * @returns what it wrote @throws where it fails
 */
export async function goSender(args: readonly string[]): Promise<string> {
  const folder = join(import.meta.dirname, 'go-sender');
  return run('go', ['run', '-C', folder, '.', ...args], { env: { ...machine(), GOFLAGS: '-buildvcs=false' } });
}

/** Runs a Python script. */
export async function python(script: string): Promise<void> {
  await run('/usr/bin/python3', ['-c', script]);
}
