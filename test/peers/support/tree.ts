import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Every file below a folder: its path → its content, or the hash of it where that is long. */
export async function readTree(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    const content = bytes.length > 200 ? createHash('sha256').update(bytes).digest('hex') : bytes.toString('latin1');
    files.set(relative(folder, path), content);
  }
  return files;
}
