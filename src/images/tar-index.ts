import { posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { ImageError } from './errors.ts';

/** Where a file's bytes are in the archive, or the path of what it is a link to. */
export type TarEntry = { readonly start: number; readonly size: number } | { readonly target: string };

/** Files and links by their paths. */
export type TarEntries = ReadonlyMap<string, TarEntry>;

/** That an archive may have: one of images has some hundred. */
const mostEntries = 100_000;

/**
 * Reads a tar archive through, and tells where everything is.
 * @throws {ImageError} where nothing comes, or what is no tar; where a name leads out of the archive, or two entries have one name: which of them counts,
 *   readers do not agree on
 */
export async function indexTar(chunks: AsyncIterable<Uint8Array>): Promise<TarEntries> {
  const entries = new Map<string, TarEntry>();
  let [size, begun] = [0, false];
  const tar = extract();
  tar.on('entry', (header, body, next) => {
    begun = true;
    // What ends the archive's reading ends its entry's too, and is told by that.
    body.on('error', () => undefined);
    try {
      add(entries, header);
    } catch (error) {
      next(error instanceof Error ? error : new ImageError(String(error)));
      return;
    }
    body.on('end', () => next());
    body.resume();
  });
  try {
    await pipeline(
      chunks,
      async function* (pieces: AsyncIterable<Uint8Array>) {
        for await (const piece of pieces) {
          size += piece.length;
          yield piece;
        }
      },
      tar,
    );
  } catch (cause) {
    // An error of gunzip or of the system has a code, and one of the tar's own has none.
    if (begun || cause instanceof ImageError || (cause instanceof Error && 'code' in cause)) throw cause;
    throw new ImageError('it is no tar archive, nor one that gzip has compressed', { cause });
  }
  if (size === 0) throw new ImageError('nothing came to read: the archive is empty');
  return entries;
}

function add(entries: Map<string, TarEntry>, header: Header): void {
  const entry = entryOf(header);
  if (entry === undefined) return;
  const path = pathOf(header.name);
  if (entries.has(path)) throw new ImageError(`the archive has ${JSON.stringify(path)} twice`);
  if (entries.size === mostEntries) throw new ImageError(`the archive has more than ${mostEntries} files`);
  entries.set(path, entry);
}

/** Undefined: a folder, or something else that no image is made of. */
function entryOf(header: Header): TarEntry | undefined {
  const { type, name, size } = header;
  // Null where it is empty, which the types do not know of either.
  const linkname = header.linkname ?? '';
  if (type === 'file' || type === 'contiguous-file') {
    // Where the bytes are, which the types do not know of.
    if (!('byteOffset' in header) || typeof header.byteOffset !== 'number') return undefined;
    return { start: header.byteOffset, size };
  }
  // A hard link's name starts at the archive's root, a symbolic one's at the folder of the link.
  if (type === 'link') return { target: linkname };
  return type === 'symlink' ? { target: posix.join(posix.dirname(name), linkname) } : undefined;
}

/** A name as a path in the archive. @throws {ImageError} where it leads out of it */
export function pathOf(name: string): string {
  const path = posix.normalize(name);
  if (!posix.isAbsolute(path) && path !== '..' && !path.startsWith('../')) return path;
  throw new ImageError(`the archive's name ${JSON.stringify(name)} leads out of it`);
}
