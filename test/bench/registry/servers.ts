import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { configuration, type Distribution, quiet } from '../../peers/support/distribution.ts';
import { type Ground, inBucket, onDisk } from '../../peers/support/ground.ts';
import { behindNginx, type NginxOptions, startNginx } from '../../peers/support/nginx.ts';
import { registry2 } from '../../peers/support/registry2.ts';
import { registry3 } from '../../peers/support/registry3.ts';
import { startS3 } from '../../peers/support/s3.ts';
import { freePort } from '../../support/server.ts';

/** A running registry on data of its own. */
export interface Registry extends AsyncDisposable {
  /** With user and password, where it wants them. */
  readonly url: string;
  readonly pids: () => readonly number[];
  /** The folder of its images; absent: they are in a bucket. */
  readonly root?: string;
  /** Ms from the start of its process until it answered. */
  readonly startedIn: number;
}

/** How a registry is started. */
export interface RegistryOptions {
  /** Where images are kept; versitygw is the S3 server. */
  readonly storage?: 'disk' | 's3';
  /** Whether it asks for a password. */
  readonly users?: boolean;
  /** What clients speak to in its place: nginx by `nginx/registry.conf`, which reads shiplog's images itself. */
  readonly front?: 'nginx';
}

/** How shiplog is started. */
export interface ShiplogOptions extends RegistryOptions {
  /** A file for what strace sees of syncs and renames. */
  readonly trace?: string;
}

/** Starts a registry. */
export type StartRegistry = (options?: RegistryOptions) => Promise<Registry>;

/** The same user everywhere: `ci`, whose password `right` is kept as bcrypt of cost 10. */
const user = { login: 'ci:right', line: 'ci:$2b$10$.EspMHS00rgMXHJimrAvxu73amF8XFEIM.2VLEh9zbxiZXV7Pu2h.\n' } as const;

const main = resolve(import.meta.dirname, '../../../src/main.ts');

/** shiplog as it is by default: durable, with its log, which goes to a file. From a proxy it takes nobody without a password. */
export const shiplog = ({ trace, ...options }: ShiplogOptions = {}): Promise<Registry> =>
  start({ ...options, accel: true }, async (ground, address, folder) => {
    const { front, users = front !== undefined } = options;
    const htpasswd = join(folder, 'htpasswd');
    if (users) await writeFile(htpasswd, user.line);
    const env = {
      SHIPLOG_DATA: join(folder, 'data'),
      SHIPLOG_HTTP_LISTEN: address,
      SHIPLOG_INGEST_SYSLOG_TCP: `127.0.0.1:${await freePort()}`,
      SHIPLOG_INGEST_SYSLOG_UDP: `127.0.0.1:${await freePort()}`,
      SHIPLOG_AUTH_HTPASSWD: htpasswd,
      ...ground.settings,
      ...(front === 'nginx' && behindNginx),
    };
    const login = users ? user.login : undefined;
    if (trace === undefined) return { command: process.execPath, args: [main], env, login };
    // -D: the process that is started is shiplog's, and strace is below it.
    const strace = ['-D', '-f', '-y', '-s', '4096', '-e', 'trace=fsync,fdatasync,rename', '-o', trace];
    return { command: 'strace', args: [...strace, process.execPath, main], env, login };
  });

/** A release of distribution: its cache of descriptors is on, its access log and its tracing are off. */
function peer(release: Distribution): StartRegistry {
  return ({ users = false, ...options } = {}) =>
    start({ ...options, accel: false }, async (ground, address, folder) => {
      const htpasswd = join(folder, 'htpasswd');
      if (users) await writeFile(htpasswd, user.line.replace('$2b$', '$2y$'));
      const auth = users ? { auth: { htpasswd: { realm: 'bench', path: htpasswd } } } : {};
      const config = join(folder, 'config.yml');
      await writeFile(config, JSON.stringify({ ...configuration(ground.storage, address), ...auth }));
      const args = ['serve', config];
      return { command: await release.program(), args, env: quiet, login: users ? user.login : undefined };
    });
}

/** All that are compared. */
export const registries: ReadonlyMap<string, StartRegistry> = new Map([
  ['shiplog', shiplog],
  ['registry:3', peer(registry3)],
  ['registry:2', peer(registry2)],
]);

/** The configuration of the peers, as it is printed. */
export function peerConfiguration(): string {
  const config = configuration({ filesystem: { rootdirectory: 'FOLDER' } }, 'ADDRESS');
  const env = Object.entries(quiet).map(([name, value]) => `${name}=${value}`);
  return `registry:2 is distribution 2.8.2, registry:3 is 3.1.2: ${JSON.stringify(config)} ${env.join(' ')}`;
}

interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly login: string | undefined;
}

async function start(
  { storage = 'disk', front, accel }: RegistryOptions & { accel: boolean },
  configure: (ground: Ground, address: string, folder: string) => Promise<Program>,
): Promise<Registry> {
  await using stack = new AsyncDisposableStack();
  const ground = stack.use(storage === 'disk' ? await onDisk() : inBucket(stack.use(await startS3('versitygw'))));
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-bench-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const address = `127.0.0.1:${await freePort()}`;
  const { command, args, env, login } = await configure(ground, address, folder);
  const path = join(folder, 'output');
  const output = stack.use(await open(path, 'w'));
  const began = performance.now();
  const child = spawn(command, args, { env, stdio: ['ignore', output.fd, output.fd] });
  await once(child, 'spawn');
  stack.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await exit;
  });
  while (!(await answers(`http://${address}/v2/`))) {
    const late = performance.now() - began > 60_000;
    if (child.exitCode !== null || late) throw new Error(`${command} did not start; ${path} says why`);
    await sleep(2);
  }
  const startedIn = performance.now() - began;
  const root = ground.settings['SHIPLOG_STORAGE_DISK_ROOT'];
  const nginx =
    front === undefined ? undefined : stack.use(await startNginx(before(address, accel ? root : undefined)));
  const parts = stack.move();
  return {
    url: `http://${login === undefined ? '' : `${login}@`}${nginx?.plainHost ?? address}`,
    pids: () => [child.pid, nginx?.pid].filter((pid) => pid !== undefined),
    startedIn,
    ...(root !== undefined && { root }),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** nginx in front of one server. */
function before(address: string, images: string | undefined): NginxOptions {
  const httpPort = Number(address.split(':')[1]);
  return { backends: [{ httpPort, syslogPort: httpPort }], ...(images !== undefined && { images }) };
}

function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    () => true,
    () => false,
  );
}
