import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from '../../support/server.ts';
import { type Daemon, startDaemon } from './process.ts';

const files = resolve(import.meta.dirname, '../../../nginx');
const certificates = resolve(import.meta.dirname, '../../support/certificates');

/** The authority of the certificate that nginx has unless it is given another one. */
export const authority = join(certificates, 'ca.pem');

/** The address from which nginx connects to shiplog, and no test does: the one to be trusted. */
export const nginxAddress = '127.0.0.9';

/** What lets a shiplog stand behind nginx. */
export const behindNginx = {
  SHIPLOG_HTTP_TRUSTED_PROXIES: nginxAddress,
  SHIPLOG_INGEST_SYSLOG_PROXY_PROTOCOL: nginxAddress,
  SHIPLOG_STORAGE_DISK_ACCEL_REDIRECT: '/_blobs/',
} as const;

/** What is replaced in the files of `nginx/`: names, ports, certificates and paths. */
export interface NginxOptions {
  /** Ports of shiplogs on 127.0.0.1. */
  readonly backends: readonly { readonly httpPort: number; readonly syslogPort: number; readonly tlsPort?: number }[];
  /** The images' folder (`storage.disk.root`), which nginx reads itself; absent: it does not. */
  readonly images?: string;
  /** Where it listens with TLS; 127.0.0.1 unless given. */
  readonly address?: string;
  readonly certificate?: { readonly cert: string; readonly key: string };
  /** Whether syslog's TLS is passed through to `tlsPort` of the first shiplog. */
  readonly passesTls?: boolean;
}

/** A request in its log. */
export interface Logged {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Bytes of the body that the client got. */
  readonly sent: number;
  /** The shiplogs that were asked in turn, as `HOST:PORT`. */
  readonly asked: readonly string[];
  /** Bytes of the body that the last of them sent. */
  readonly received: number;
}

/** Debian's nginx with the files of `nginx/`. */
export interface Nginx extends AsyncDisposable {
  /** Of the process above all others of it. */
  readonly pid: number;
  /** `ADDRESS:PORT` with TLS. */
  readonly host: string;
  /** `127.0.0.1:PORT` of the same server without TLS, for clients that are told of no authority. */
  readonly plainHost: string;
  readonly syslogPort: number;
  readonly syslogTlsPort: number;
  /** The requests that ended. */
  requests(): Promise<Logged[]>;
  /** What it complained of, or warned of: each body, coming or going, that it put on its own disk. */
  errors(): Promise<string>;
}

/** Starts it; disposing ends it and removes its folder. */
export async function startNginx(options: NginxOptions): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-nginx-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true });
  const { address = '127.0.0.1' } = options;
  const ports = { http: await freePort(), plain: await freePort(), syslog: await freePort(), tls: await freePort() };
  let daemon: Daemon;
  try {
    await mkdir(join(folder, 'temporary'));
    for (const [name, text] of Object.entries(await configuration(options, folder, ports))) {
      await writeFile(join(folder, name), text);
    }
    const args = ['-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log'), '-g', 'daemon off;'];
    const listens = Object.entries(ports).map(([name, port]) => (): Promise<boolean> => {
      return answers(port, name === 'plain' ? '127.0.0.1' : address);
    });
    const ready = async (): Promise<boolean> => (await Promise.all(listens.map((ask) => ask()))).every(Boolean);
    daemon = await startDaemon('/usr/sbin/nginx', args, ready);
  } catch (error) {
    const log = await readFile(join(folder, 'error.log'), 'utf8').catch(() => '');
    await remove();
    throw new Error(`nginx did not start: ${log}`, { cause: error });
  }
  return {
    pid: daemon.pid,
    host: `${address}:${ports.http}`,
    plainHost: `127.0.0.1:${ports.plain}`,
    syslogPort: ports.syslog,
    syslogTlsPort: ports.tls,
    requests: async () => (await readFile(join(folder, 'access.log'), 'utf8')).split('\n').filter(Boolean).map(parse),
    errors: () => readFile(join(folder, 'error.log'), 'utf8'),
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await remove();
    },
  };
}

/** The files as they stand in `nginx/`, but for what has to be of this test. */
async function configuration(
  { backends, images, address = '127.0.0.1', certificate, passesTls = false }: NginxOptions,
  folder: string,
  ports: Readonly<Record<'http' | 'plain' | 'syslog' | 'tls', number>>,
): Promise<Record<string, string>> {
  const read = async (name: string): Promise<string> => readFile(join(files, name), 'utf8');
  const { cert = join(certificates, 'server.pem'), key = join(certificates, 'server.key') } = certificate ?? {};
  const named = { '/etc/ssl/certs/registry.corp.crt': cert, '/etc/ssl/private/registry.corp.key': key };
  const server = (port: number): string => `    server 127.0.0.1:${port} max_fails=0;`;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (what) => `${what}_temp_path ${folder}/temporary/${what};`,
  );
  const syslog = await read('syslog.conf');
  return {
    'nginx.conf': replace(await read('nginx.conf'), {
      'user www-data;': 'user root;',
      '/run/nginx.pid;': `${folder}/pid;\nerror_log ${folder}/error.log warn;`,
      'http {\n': `http {\n${temporary.join('\n')}\nproxy_bind ${nginxAddress};\n`,
      'stream {\n': `stream {\nproxy_bind ${nginxAddress};\n`,
    }),
    'registry.conf': replace(await read('registry.conf'), {
      ...named,
      '    server 127.0.0.1:5000 max_fails=0;': backends.map((one) => server(one.httpPort)).join('\n'),
      'listen 443 ssl http2;': `listen ${address}:${ports.http} ssl http2;`,
      'listen [::]:443 ssl http2;': `listen 127.0.0.1:${ports.plain};`,
      '/var/log/nginx/registry.log': `${folder}/access.log`,
      ...(images === undefined
        ? { 'X-Shiplog-Accel 1;': 'X-Shiplog-Accel "";' }
        : { '/var/lib/shiplog/registry/': `${images}/` }),
    }),
    'syslog.conf': replace(passesTls ? passThrough(syslog) : replace(syslog, named), {
      '    server 127.0.0.1:5514 max_fails=0;': backends.map((one) => server(one.syslogPort)).join('\n'),
      'listen 514 ': `listen ${address}:${ports.syslog} `,
      'listen 6514 ': `listen ${address}:${ports.tls} `,
      'listen [::]:': '# listen [::]:',
      ...(passesTls && { '127.0.0.1:5515;': `127.0.0.1:${backends[0]?.tlsPort};` }),
    }),
  };
}

/** The second way of syslog.conf in place of the first. */
function passThrough(text: string): string {
  const [start = '', other = ''] = text.split(/^# Or: .*$/m);
  const kept = start.slice(0, start.indexOf('# syslog over TLS, which ends here.'));
  return kept + other.slice(other.indexOf('# server {')).replaceAll(/^# ?/gm, '');
}

/** Replaces each text wherever it stands. @throws where it stands nowhere */
function replace(text: string, replacements: Readonly<Record<string, string>>): string {
  for (const [from, to] of Object.entries(replacements)) {
    if (!text.includes(from)) throw new Error(`the configuration of nginx has no ${from}`);
    text = text.replaceAll(from, () => to);
  }
  return text;
}

function parse(line: string): Logged {
  const found = /"(\S+) (\S*) [^"]*" (\d+) (\d+) "[^"]*" \S+ (.+) (\S+)$/.exec(line);
  if (found === null) throw new Error(`nginx logged ${line}`);
  const [, method = '', path = '', status, sent, asked = '', received = ''] = found;
  return {
    method,
    path,
    status: Number(status),
    sent: Number(sent),
    asked: asked.replace(/, [\d-]+$/, '').split(/, | : /),
    received: Number(received === '-' ? 0 : received),
  };
}

async function answers(port: number, host: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, host, () => resolve(true));
  socket.on('error', () => resolve(false));
  return promise.finally(() => void socket.destroy());
}
