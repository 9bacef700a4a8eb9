import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { goTool } from './go-tools.ts';
import { run } from './process.ts';

/** Helm on a folder of its own, for charts in registries without TLS. */
export interface Helm extends AsyncDisposable {
  login(host: string, name: string, password: string): Promise<unknown>;
  /** Makes a chart, of version 0.1.0. @returns its file */
  make(name: string): Promise<string>;
  push(chart: string, repository: string): Promise<unknown>;
  /** @returns the file */
  pull(repository: string, name: string): Promise<string>;
}

/** Starts it; the first time it is built, which takes minutes. */
export async function startHelm(): Promise<Helm> {
  const program = await goTool('helm.sh/helm/v3/cmd/helm', 'v3.22.0');
  const made = await mkdtempDisposable(join(tmpdir(), 'shiplog-helm-'));
  const folder = made.path;
  const helm = (args: readonly string[], input = ''): Promise<string> =>
    run(program, args, { env: { HOME: folder, HELM_REGISTRY_CONFIG: join(folder, 'logins.json') }, input });
  return {
    login: (host, name, password) =>
      helm(['registry', 'login', host, '--plain-http', '--username', name, '--password-stdin'], password),
    async make(name) {
      await helm(['create', join(folder, name)]);
      await helm(['package', join(folder, name), '--destination', folder]);
      return join(folder, `${name}-0.1.0.tgz`);
    },
    push: (chart, repository) => helm(['push', chart, `oci://${repository}`, '--plain-http']),
    async pull(repository, name) {
      const to = join(folder, 'pulled');
      await mkdir(to);
      await helm(['pull', `oci://${repository}/${name}`, '--version=0.1.0', '--plain-http', '--destination', to]);
      return join(to, `${name}-0.1.0.tgz`);
    },
    [Symbol.asyncDispose]: () => made.remove(),
  };
}
