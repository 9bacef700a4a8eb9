import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noCommand, versionIn } from './client.ts';
import { byLayout, type LayoutClient, type Layouts } from './layout-client.ts';
import { run } from './process.ts';
import { skopeo } from './skopeo.ts';

/** skopeo, as a client among others. */
export const skopeoClient = {
  name: 'skopeo',
  cannot: { attach: noCommand, discover: noCommand },
  async start(): Promise<LayoutClient> {
    const folder = await mkdtempDisposable(join(tmpdir(), 'shiplog-skopeo-'));
    const logins = `--authfile=${join(folder.path, 'auth.json')}`;
    const copy = (from: string, to: string): Promise<string> =>
      skopeo('copy', logins, '--all', '--preserve-digests', from, to);

    const layouts: Layouts = {
      pushLayout: (layout, image) => copy(`oci:${layout}:image`, `docker://${image}`),
      pullLayout: (image, layout) => copy(`docker://${image}`, `oci:${layout}:image`),
    };
    return {
      version: versionIn(await run('/usr/bin/skopeo', ['--version'])),
      login: (host, name, password) => skopeo('login', logins, '--username', name, '--password', password, host),
      ...byLayout(layouts),
      listTags: async (repository) => JSON.parse(await skopeo('list-tags', logins, `docker://${repository}`)).Tags,
      copy: (from, to) => copy(`docker://${from}`, `docker://${to}`),
      delete: (image) => skopeo('delete', logins, `docker://${image}`),
      ...layouts,
      [Symbol.asyncDispose]: () => folder.remove(),
    };
  },
};
