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

/** The packages that are loaded as soon as a file is: types are none, and what is imported later is not. */
async function packagesOf(entry: string): Promise<Set<string>> {
  const packages = new Set<string>();
  const files = new Set([join(root, entry)]);
  for (const file of files) {
    const text = await readFile(file, 'utf8');
    for (const [, specifier = ''] of text.matchAll(/^(?:import|export) (?!type )(?:[^;']* from )?'([^']+)';/gm)) {
      if (specifier.startsWith('.')) files.add(resolve(dirname(file), specifier));
      else if (!specifier.startsWith('node:')) packages.add(/^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? '');
    }
  }
  return packages;
}

test('the supervisor loads no more than it takes to log before its first worker is on the way', async () => {
  expect([...(await packagesOf('src/main.ts')), ...(await packagesOf('src/cli/serve.ts'))]).toEqual(['pino']);
});

test('a worker loads the clients of other servers only where it is configured so', async () => {
  const packages = await packagesOf('src/supervisor/worker.ts');
  expect(packages).toContain('koa');
  expect([...packages].filter((name) => /^@(?:elastic|aws-sdk|smithy)\//.test(name))).toEqual([]);
});
