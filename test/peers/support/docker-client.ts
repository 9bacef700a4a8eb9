import { type Client, noCommand, versionIn } from './client.ts';
import { startDocker } from './docker.ts';

/** The Docker Engine with its classic image store, as a client among others. */
export const dockerClient = {
  name: 'Docker Engine',
  cannot: {
    'list tags': noCommand,
    attach: noCommand,
    discover: noCommand,
    delete: '`docker rmi` removes only what is on its own machine',
  },
  async start(): Promise<Client> {
    const docker = await startDocker();
    return {
      version: versionIn(await docker.cli(['version', '--format={{.Server.Version}}'])),
      login: (host, name, password) => docker.cli(['login', '--username', name, '--password-stdin', host], password),
      async push(image) {
        await docker.build(image, 'FROM scratch\nCOPY a /a\nCOPY b /b\n', { a: 'first', b: 'second' });
        await docker.cli(['push', image]);
      },
      async pull(image) {
        await docker.cli(['system', 'prune', '--all', '--force']);
        const said = await docker.cli(['pull', image]);
        return /^Digest: (.+)$/m.exec(said)?.[1] ?? said;
      },
      // The push of what is in another repository already mounts its layers.
      async copy(from, to) {
        await docker.cli(['tag', from, to]);
        await docker.cli(['push', to]);
      },
      [Symbol.asyncDispose]: () => docker[Symbol.asyncDispose](),
    };
  },
};
