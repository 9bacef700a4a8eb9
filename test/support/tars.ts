import { buffer } from 'node:stream/consumers';
import { extract, pack } from 'tar-stream';

/** A file, or a link, of a tar archive that a test makes. */
export type TestEntry =
  | { readonly name: string; readonly content: string | Uint8Array }
  | { readonly name: string; readonly type: 'symlink' | 'link'; readonly linkname: string }
  | { readonly name: string; readonly type: 'directory' };

/** A tar archive of these entries, in this order. */
export async function tar(entries: readonly TestEntry[]): Promise<Buffer> {
  const archive = pack();
  for (const entry of entries) {
    if ('content' in entry) archive.entry({ name: entry.name }, Buffer.from(entry.content));
    else archive.entry(entry);
  }
  archive.finalize();
  return buffer(archive);
}

/** The files of a tar archive, in its order. */
export async function untar(archive: Uint8Array): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const reading = extract();
  reading.end(archive);
  for await (const entry of reading) files.set(entry.header.name, await buffer(entry));
  return files;
}
