import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lines, noCommand, versionIn } from './client.ts';
import { goTool } from './go-tools.ts';
import { byLayout, type LayoutClient, type Layouts } from './layout-client.ts';
import { run } from './process.ts';

/** go-containerregistry's client. */
export const crane = {
  name: 'crane',
  cannot: { attach: noCommand, discover: noCommand },
  async start(): Promise<LayoutClient> {
    const program = await goTool('github.com/google/go-containerregistry/cmd/crane', 'v0.22.1');
    const folder = await mkdtempDisposable(join(tmpdir(), 'shiplog-crane-'));
    const env = { HOME: folder.path, DOCKER_CONFIG: folder.path };
    const crane = (args: readonly string[], input = ''): Promise<string> =>
      run(program, ['--insecure', ...args], { env, input });

    const layouts: Layouts = {
      pushLayout: (layout, image) => crane(['push', layout, image]),
      pullLayout: (image, layout) => crane(['pull', '--format=oci', image, layout]),
    };
    return {
      version: versionIn(await crane(['version'])),
      login: (host, name, password) => crane(['auth', 'login', host, '--username', name, '--password-stdin'], password),
      ...byLayout(layouts),
      listTags: async (repository) => lines(await crane(['ls', repository])),
      copy: (from, to) => crane(['copy', from, to]),
      delete: (image) => crane(['delete', image]),
      ...layouts,
      [Symbol.asyncDispose]: () => folder.remove(),
    };
  },
};
