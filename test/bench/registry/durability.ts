import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { load } from '../load.ts';
import { shiplog } from './servers.ts';

const kept = /\/docker\/registry\/v2\/(?:blobs|repositories)\/.*\/(?:data|link)$/;

/**
 * Pushes an image to a shiplog whose system calls are traced: each file that it consists of must have been synced before
 * it was given its name, and the folder with that name after it. It is the configuration that is measured.
 * @returns how many files those were @throws where one was not synced
 */
export async function verifyDurability(): Promise<number> {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'shiplog-trace-'));
  const trace = join(folder.path, 'trace');
  {
    await using registry = await shiplog({ trace });
    await load('push', { url: registry.url, images: 1, layers: 3, 'config-size': 2048 });
  }
  const calls = (await readFile(trace, 'utf8')).split('\n');
  const place = (call: RegExp): number => calls.findLastIndex((line) => call.test(line));
  const named = calls.flatMap((line, at) => {
    const [, from = '', to = ''] = /rename\("([^"]+)", "([^"]+)"/.exec(line) ?? [];
    return kept.test(to) ? [{ from, to, at }] : [];
  });
  // Config, layers and manifest, the link to each, and the tag's.
  if (named.length < 11) throw new Error(`only ${named.length} files of an image were seen in the trace`);
  for (const { from, to, at } of named) {
    const synced = calls.slice(0, at).some((line) => /f(?:data)?sync\(/.test(line) && line.includes(`<${from}>`));
    if (!synced) throw new Error(`${to} was not synced before it got its name`);
    if (place(new RegExp(`fsync\\(\\d+<${RegExp.escape(dirname(to))}>`)) < at) {
      throw new Error(`the folder of ${to} was not synced`);
    }
  }
  return named.length;
}
