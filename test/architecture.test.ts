import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');

/** Which top-level folders a folder's files may import from. */
const allowed = { storage: ['storage'], ingest: ['ingest'], src: ['src', 'storage', 'ingest'] };

async function imports(folder: string): Promise<{ file: string; target: string }[]> {
  const names = await readdir(join(root, folder), { recursive: true });
  const found: { file: string; target: string }[] = [];
  for (const name of names.filter((name) => name.endsWith('.ts'))) {
    const file = join(root, folder, name);
    const text = await readFile(file, 'utf8');
    for (const [, specifier] of text.matchAll(/(?:from|import|import\(|new URL\()\s*'(\.[^']*)'/g)) {
      found.push({ file: relative(root, file), target: relative(root, resolve(dirname(file), specifier ?? '')) });
    }
  }
  return found;
}

for (const [folder, targets] of Object.entries(allowed)) {
  test(`${folder}/ imports only from ${targets.join(', ')}`, async () => {
    const all = await imports(folder);
    expect(all.length).toBeGreaterThan(0);
    const wrong = all.filter(({ target }) => !targets.includes(target.split(sep)[0] ?? ''));
    expect(wrong.map(({ file, target }) => `${file} → ${target}`)).toEqual([]);
  });
}

test('storage/ and ingest/ know no HTTP framework', async () => {
  for (const folder of ['storage', 'ingest']) {
    for (const name of (await readdir(join(root, folder), { recursive: true })).filter((n) => n.endsWith('.ts'))) {
      expect(await readFile(join(root, folder, name), 'utf8'), name).not.toMatch(/from '(koa|@koa\/)/);
    }
  }
});
