import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from './client.ts';
import { writeImage } from './images.ts';

/** What a client has that reads and writes OCI layouts, in which the image's name is `image`. */
export interface Layouts {
  pushLayout(folder: string, image: string): Promise<unknown>;
  /** Writes a layout where nothing is yet. */
  pullLayout(image: string, folder: string): Promise<unknown>;
}

export interface LayoutClient extends Client, Layouts {}

/** How such a client pushes an image of its own, and pulls. */
export function byLayout(layouts: Layouts): Pick<Client, 'push' | 'pull'> {
  return {
    async push(image) {
      await using layout = await writeImage();
      await layouts.pushLayout(layout.folder, image);
    },
    async pull(image) {
      await using folder = await mkdtempDisposable(join(tmpdir(), 'shiplog-pulled-'));
      const layout = join(folder.path, 'layout');
      await layouts.pullLayout(image, layout);
      const { manifests } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'));
      return manifests[0].digest;
    },
  };
}
