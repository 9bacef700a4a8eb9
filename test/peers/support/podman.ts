import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, noCommand, versionIn } from './client.ts';
import { run } from './process.ts';

/** podman or buildah on storage of its own. */
export interface Podman extends AsyncDisposable {
  readonly folder: string;
  /** Runs `podman ARGS` or `buildah ARGS`. @returns its stdout */
  cli(args: readonly string[], input?: string): Promise<string>;
  /** Says that a registry has no TLS; else nothing is sent to it. */
  trust(host: string): Promise<void>;
  /** Builds an image of one file. */
  build(image: string): Promise<void>;
}

/**
 * Makes storage for podman or buildah. `vfs` is the driver that asks nothing of the file system below; only `overlay`
 * pulls parts of layers.
 */
export async function makePodman(program: 'podman' | 'buildah', driver: 'vfs' | 'overlay' = 'vfs'): Promise<Podman> {
  const made = await mkdtempDisposable(join(tmpdir(), `shiplog-${program}-`));
  const folder = made.path;
  const [storage, registries] = [join(folder, 'storage.conf'), join(folder, 'registries.conf')];
  await writeFile(
    storage,
    `[storage]\ndriver = "${driver}"\ngraphroot = "${folder}/graph"\nrunroot = "${folder}/run"\n` +
      '[storage.options]\npull_options = { enable_partial_images = "true" }\n',
  );
  const logins = join(folder, 'auth.json');
  await writeFile(logins, '{}');
  await writeFile(join(folder, 'file'), 'content');
  await writeFile(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY file /file\n');
  const env = {
    HOME: folder,
    TMPDIR: folder,
    XDG_RUNTIME_DIR: folder,
    CONTAINERS_STORAGE_CONF: storage,
    CONTAINERS_REGISTRIES_CONF: registries,
    REGISTRY_AUTH_FILE: logins,
    // A container's kernel may not let it make namespaces.
    BUILDAH_ISOLATION: 'chroot',
  };
  const options = program === 'podman' ? ['--cgroup-manager=cgroupfs', '--events-backend=none'] : [];
  const cli = (args: readonly string[], input = ''): Promise<string> =>
    run(`/usr/bin/${program}`, [...options, ...args], { env, input });
  return {
    folder,
    cli,
    trust: (host) => writeFile(registries, `[[registry]]\nlocation = "${host}"\ninsecure = true\n`),
    async build(image) {
      await cli(['build', '--tag', image, folder]);
    },
    async [Symbol.asyncDispose]() {
      await cli(['rmi', '--all', '--force']);
      await made.remove();
    },
  };
}

const cannot = { attach: noCommand, discover: noCommand };

/** podman, as a client among others. */
export const podman = {
  name: 'podman',
  cannot: { ...cannot, delete: '`podman rmi` removes only what is on its own machine' },
  async start(): Promise<Client> {
    const podman = await makePodman('podman');
    return {
      ...(await common(podman)),
      listTags: async (repository) =>
        JSON.parse(await podman.cli(['search', '--list-tags', '--format=json', repository]))[0].Tags,
    };
  },
};

/** buildah, as a client among others. */
export const buildah = {
  name: 'buildah',
  cannot: {
    ...cannot,
    'list tags': noCommand,
    delete: '`buildah rmi` removes only what is on its own machine',
  },
  start: async (): Promise<Client> => common(await makePodman('buildah')),
};

/** What both do alike. */
async function common(podman: Podman): Promise<Client> {
  return {
    version: versionIn(await podman.cli(['--version'])),
    async login(host, name, password) {
      await podman.trust(host);
      await podman.cli(['login', '--tls-verify=false', '--username', name, '--password-stdin', host], password);
    },
    async push(image) {
      await podman.trust(image.split('/')[0] ?? '');
      await podman.build(image);
      await podman.cli(['push', image]);
    },
    async pull(image) {
      await podman.trust(image.split('/')[0] ?? '');
      await podman.cli(['rmi', '--all', '--force']);
      await podman.cli(['pull', image]);
      return (await podman.cli(['images', '--format={{.Digest}}', image])).trim();
    },
    async copy(from, to) {
      await podman.cli(['tag', from, to]);
      await podman.cli(['push', to]);
    },
    [Symbol.asyncDispose]: () => podman[Symbol.asyncDispose](),
  };
}
