import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run, startDaemon } from './process.ts';

/** A Docker Engine of its own, with nothing in it. */
export interface Docker extends AsyncDisposable {
  /** Runs `docker ARGS`. @returns its stdout @throws where it fails, with what it said */
  cli(args: readonly string[], input?: string): Promise<string>;
  /** Builds an image from a Dockerfile and the files that it copies. */
  build(tag: string, dockerfile: string, files?: Readonly<Record<string, string | Uint8Array>>): Promise<void>;
  /** Builds an image in which busybox is the entrypoint: `run(tag, ['echo', 'hello'])`. */
  buildBusybox(tag: string, labels?: Readonly<Record<string, string>>): Promise<void>;
  /** Runs a container on the host's network to its end. `options` are those of `docker run`. @returns its stdout */
  run(image: string, command: readonly string[], options?: readonly string[]): Promise<string>;
  /** The id of an image, which is its config's digest, and the digest of the repository that it came from. */
  inspect(image: string): Promise<{ id: string; repoDigests: string[] }>;
  /** The environment in which a Docker client finds it. */
  readonly env: Readonly<Record<string, string>>;
  /** What it reads as `/etc/docker`; only of one with `hosts`. */
  readonly etc: string;
  /** What the daemon wrote. */
  readonly output: () => string;
}

/** What may be different from engine to engine. */
export interface DockerOptions {
  /** `vfs` asks nothing of the file system below, and copies an image with each step of a build. */
  readonly storageDriver?: 'vfs' | 'overlay2';
  /** What it reads as `/etc/hosts`, instead of this machine's. */
  readonly hosts?: string;
}

/** Debian's, by their paths: another Docker may stand earlier in the PATH. */
const [client, server] = ['/usr/bin/docker', '/usr/sbin/dockerd'];

/**
 * Starts Docker on folders and a socket of its own. It makes no bridge and no firewall rule: it reaches the host's
 * 127.0.0.1, and so do its containers, by the host's network. Disposing leaves no process, mount or file.
 */
export async function startDocker({ storageDriver = 'vfs', hosts }: DockerOptions = {}): Promise<Docker> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-docker-'));
  const socket = `unix://${folder}/docker.sock`;
  const env = { DOCKER_CONFIG: join(folder, 'config'), DOCKER_HOST: socket, HOME: folder };
  const cli = (args: readonly string[], input?: string): Promise<string> =>
    run(client, args, { env, ...(input !== undefined && { input }) });
  const options = [
    `--data-root=${folder}/data`,
    `--exec-root=${folder}/exec`,
    `--pidfile=${folder}/pid`,
    `--host=${socket}`,
    `--storage-driver=${storageDriver}`,
    '--exec-opt=native.cgroupdriver=cgroupfs',
    '--bridge=none',
    '--iptables=false',
    '--ip6tables=false',
    '--ip-forward=false',
    '--ip-masq=false',
    '--userland-proxy=false',
  ];
  const etc = join(folder, 'etc');
  await mkdir(etc);
  const [command, args] = hosts === undefined ? [server, options] : await hide(etc, hosts, options);
  const daemon = await startDaemon(command, args, async () => (await cli(['version'])) !== '').catch(
    async (error: unknown) => {
      await clear(folder);
      throw error;
    },
  );

  const docker: Docker = {
    cli,
    async build(tag, dockerfile, files = {}) {
      const context = await mkdtemp(join(folder, 'build-'));
      await writeFile(join(context, 'Dockerfile'), dockerfile);
      for (const [name, bytes] of Object.entries(files)) {
        await mkdir(dirname(join(context, name)), { recursive: true });
        await writeFile(join(context, name), bytes, { mode: 0o755 });
      }
      await cli(['build', '--quiet', '--tag', tag, context]);
      await rm(context, { recursive: true });
    },
    async buildBusybox(tag, labels = {}) {
      const label = Object.entries(labels).map(([name, value]) => `LABEL ${name}=${JSON.stringify(value)}\n`);
      const dockerfile = `FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT ["/bin/busybox"]\n${label.join('')}`;
      await docker.build(tag, dockerfile, { busybox: await readFile('/bin/busybox') });
    },
    run: (image, command, options = []) => cli(['run', '--rm', '--network=host', ...options, image, ...command]),
    async inspect(image) {
      const [found] = JSON.parse(await cli(['image', 'inspect', image]));
      return { id: found.Id, repoDigests: found.RepoDigests };
    },
    env,
    etc,
    output: daemon.output,
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await clear(folder);
    },
  };
  return docker;
}

/** The command that starts it with an `/etc/docker` and an `/etc/hosts` that are seen by it alone. */
async function hide(etc: string, hosts: string, options: readonly string[]): Promise<[string, string[]]> {
  await writeFile(join(etc, 'hosts'), hosts);
  await mkdir('/etc/docker', { recursive: true });
  const script = 'mount --bind "$0/hosts" /etc/hosts && mount --bind "$0" /etc/docker && exec "$@"';
  return ['unshare', ['--mount', '/bin/sh', '-c', script, etc, server, ...options]];
}

/** Removes a folder after unmounting what the daemon left mounted below it. */
async function clear(folder: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
  const left = mounts.filter((mount) => mount.startsWith(`${folder}/`));
  for (const mount of left.toReversed()) await run('umount', ['--lazy', mount]);
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
}
