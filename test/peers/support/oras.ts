import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lines, versionIn } from './client.ts';
import { goTool } from './go-tools.ts';
import type { LayoutClient } from './layout-client.ts';
import { run } from './process.ts';

/** The client of the ORAS project: what it pushes is artifacts of files, with the empty config. */
export const oras = {
  name: 'oras',
  cannot: {},
  async start(): Promise<LayoutClient> {
    const program = await goTool('oras.land/oras/cmd/oras', 'v1.3.6');
    const folder = await mkdtempDisposable(join(tmpdir(), 'shiplog-oras-'));
    const env = { HOME: folder.path, DOCKER_CONFIG: folder.path };
    const oras = (args: readonly string[], input = ''): Promise<string> => run(program, args, { env, input });
    const note = join(folder.path, 'note.txt');
    await writeFile(note, 'a note');
    /** What a command that makes an artifact of the note's file is told. */
    const file = (image: string): string[] => [
      '--plain-http',
      '--artifact-type=application/vnd.example.note',
      '--disable-path-validation',
      image,
      `${note}:text/plain`,
    ];

    return {
      version: versionIn(await oras(['version'])),
      login: (host, name, password) =>
        oras(['login', '--plain-http', '--username', name, '--password-stdin', host], password),
      push: (image) => oras(['push', ...file(image)]),
      async pull(image) {
        const before = await readFile(note);
        await writeFile(note, '');
        const said = await oras(['pull', '--plain-http', '--allow-path-traversal', image]);
        if (!before.equals(await readFile(note))) throw new Error(`oras pulled another file:\n${said}`);
        return /^Digest: (.+)$/m.exec(said)?.[1] ?? said;
      },
      listTags: async (repository) => lines(await oras(['repo', 'tags', '--plain-http', repository])),
      attach: (image) => oras(['attach', ...file(image)]),
      async discover(image) {
        const { referrers } = JSON.parse(await oras(['discover', '--plain-http', '--format=json', image]));
        return referrers.map(({ digest }: { digest: string }) => digest);
      },
      copy: (from, to) => oras(['copy', '--recursive', '--from-plain-http', '--to-plain-http', from, to]),
      delete: (image) => oras(['manifest', 'delete', '--plain-http', '--force', image]),
      pushLayout: (layout, image) => oras(['copy', '--from-oci-layout', '--to-plain-http', `${layout}:image`, image]),
      pullLayout: (image, layout) => oras(['copy', '--to-oci-layout', '--from-plain-http', image, `${layout}:image`]),
      [Symbol.asyncDispose]: () => folder.remove(),
    };
  },
};
