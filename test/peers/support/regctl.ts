import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lines, versionIn } from './client.ts';
import { goTool } from './go-tools.ts';
import { byLayout, type LayoutClient, type Layouts } from './layout-client.ts';
import { run } from './process.ts';

/** regclient's client, which also moves blobs and manifests alone. */
export interface Regctl extends LayoutClient {
  putBlob(repository: string, content: string): Promise<string>;
  getBlob(repository: string, digest: string): Promise<string>;
  getManifest(image: string): Promise<string>;
  putManifest(image: string, type: string, content: string): Promise<unknown>;
}

/** It, as a client among others. */
export const regctl = {
  name: 'regctl',
  cannot: {},
  async start(): Promise<Regctl> {
    const program = await goTool('github.com/regclient/regclient/cmd/regctl', 'v0.11.7');
    const folder = await mkdtempDisposable(join(tmpdir(), 'shiplog-regctl-'));
    const env = { HOME: folder.path, REGCTL_CONFIG: join(folder.path, 'config.json') };
    const regctl = (args: readonly string[], input = ''): Promise<string> => run(program, args, { env, input });
    const known = new Set<string>();
    /** Runs it on an image; of a registry without TLS it must be told first. */
    const at = async (image: string, args: readonly string[], input = ''): Promise<string> => {
      const host = image.split('/')[0] ?? '';
      if (!known.has(host)) await regctl(['registry', 'set', '--skip-check', '--tls=disabled', host]);
      known.add(host);
      return regctl(args, input);
    };

    const layouts: Layouts = {
      pushLayout: (layout, image) => at(image, ['image', 'copy', `ocidir://${layout}:image`, image]),
      pullLayout: (image, layout) => at(image, ['image', 'copy', image, `ocidir://${layout}:image`]),
    };
    return {
      version: versionIn(await regctl(['version'])),
      login: (host, name, password) => at(host, ['registry', 'login', host, '--user', name, '--pass-stdin'], password),
      ...byLayout(layouts),
      listTags: async (repository) => lines(await at(repository, ['tag', 'ls', repository])),
      attach: (image) =>
        at(image, ['artifact', 'put', '--artifact-type=application/vnd.example.note', '--subject', image], 'a note'),
      discover: async (image) =>
        lines(
          await at(image, ['artifact', 'list', image, '--format={{range .Descriptors}}{{println .Digest}}{{end}}']),
        ),
      copy: (from, to) => at(from, ['image', 'copy', '--referrers', from, to]),
      delete: (image) => at(image, ['tag', 'delete', image]),
      ...layouts,
      putBlob: async (repository, content) => (await at(repository, ['blob', 'put', repository], content)).trim(),
      getBlob: (repository, digest) => at(repository, ['blob', 'get', repository, digest]),
      getManifest: (image) => at(image, ['manifest', 'get', '--format=raw-body', image]),
      putManifest: (image, type, content) => at(image, ['manifest', 'put', `--content-type=${type}`, image], content),
      [Symbol.asyncDispose]: () => folder.remove(),
    };
  },
};
