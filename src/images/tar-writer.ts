import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';

/** A file to be. `size` in bytes. */
export interface TarFile {
  readonly name: string;
  readonly size: number;
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** A tar archive of some files, piece by piece, made as it is read: the same files make the same bytes. */
export async function* writeTar(files: AsyncIterable<TarFile>): AsyncGenerator<Uint8Array, void, void> {
  const tar = pack();
  // What fails there ends the reading here.
  const filled = fill(tar, files).catch((error: unknown) => tar.destroy(error instanceof Error ? error : undefined));
  // Its types say nothing of what it yields.
  for await (const chunk of tar) if (chunk instanceof Uint8Array) yield chunk;
  await filled;
}

async function fill(tar: Pack, files: AsyncIterable<TarFile>): Promise<void> {
  for await (const { name, size, body } of files) {
    await pipeline(Readable.from(body, { objectMode: false }), tar.entry({ name, size, mtime: new Date(0) }));
  }
  tar.finalize();
}
