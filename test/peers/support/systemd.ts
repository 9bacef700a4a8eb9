import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { run } from './process.ts';

const source = resolve(import.meta.dirname, '../../..');

/** Runs `systemd-analyze` on a unit of deploy/, as if the package were installed. @throws what it complains of */
export async function analyze(unit: string, ...command: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-systemd-'));
  try {
    const text = await readFile(join(source, 'deploy', unit), 'utf8');
    const file = join(folder, basename(unit));
    await writeFile(file, text.replaceAll('/opt/shiplog', source));
    return await run('systemd-analyze', [...command, file]);
  } finally {
    await rm(folder, { recursive: true });
  }
}
