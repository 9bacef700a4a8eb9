import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lines, noCommand, versionIn } from './client.ts';
import { byLayout, type LayoutClient, type Layouts } from './layout-client.ts';
import { run, startDaemon } from './process.ts';

/** containerd's client, with a containerd of its own. */
export const ctr = {
  name: 'ctr (containerd)',
  cannot: {
    'list tags': noCommand,
    attach: noCommand,
    discover: noCommand,
    delete: '`ctr images rm` removes only what is on its own machine',
  },
  async start(): Promise<LayoutClient> {
    const folder = await mkdtempDisposable(join(tmpdir(), 'shiplog-containerd-'));
    const [config, socket] = [join(folder.path, 'config.toml'), join(folder.path, 'socket')];
    await writeFile(
      config,
      `version = 2\nroot = "${folder.path}/root"\nstate = "${folder.path}/state"\n` +
        `disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "${socket}"\n`,
    );
    const ctr = (args: readonly string[]): Promise<string> => run('/usr/bin/ctr', ['--address', socket, ...args]);
    const daemon = await startDaemon('/usr/bin/containerd', ['--config', config], async () => {
      return (await ctr(['version'])) !== '';
    }).catch(async (error: unknown) => {
      await folder.remove();
      throw error;
    });
    let user: string[] = [];
    const tar = join(folder.path, 'image.tar');
    const copy = async (from: string, to: string): Promise<void> => {
      if (from !== to) await ctr(['images', 'tag', '--force', from, to]);
      await ctr(['images', 'push', '--plain-http', ...user, to]);
    };

    const layouts: Layouts = {
      async pushLayout(layout, image) {
        await run('tar', ['--create', '--file', tar, '--directory', layout, '.']);
        const name = image.slice(0, image.lastIndexOf(':'));
        await ctr(['images', 'import', '--no-unpack', '--all-platforms', '--base-name', name, tar]);
        await copy(`${name}:image`, image);
      },
      async pullLayout(image, layout) {
        await ctr(['images', 'rm', '--sync', image]);
        // Unlike a pull it unpacks nothing, and so takes what is no image.
        await ctr(['content', 'fetch', '--plain-http', '--all-platforms', ...user, image]);
        await ctr(['images', 'export', '--all-platforms', tar, image]);
        await mkdir(layout);
        await run('tar', ['--extract', '--file', tar, '--directory', layout]);
      },
    };
    return {
      version: versionIn(await run('/usr/bin/ctr', ['--version'])),
      // It keeps no logins: each call names the user.
      async login(_host, name, password) {
        user = ['--user', `${name}:${password}`];
      },
      ...layouts,
      push: byLayout(layouts).push,
      async pull(image) {
        await ctr(['images', 'rm', '--sync', image]);
        await ctr(['images', 'pull', '--plain-http', '--snapshotter=native', ...user, image]);
        const [, found = ''] = lines(await ctr(['images', 'ls', `name==${image}`]));
        return found.split(/ +/)[2] ?? found;
      },
      copy,
      async [Symbol.asyncDispose]() {
        await daemon[Symbol.asyncDispose]();
        await folder.remove();
      },
    };
  },
};
