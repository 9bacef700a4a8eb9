import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('each test that the table of behaviours names is there', async () => {
  const table = await readFile(join(import.meta.dirname, 'README.md'), 'utf8');
  const rows = [...table.matchAll(/^\| (?<behaviour>.+?) +\| \[.+?\]\((?<file>.+?)\) +\| (?<name>.+?) +\|$/gm)];
  const lines = table.split('\n').filter((line) => /^\| .*\]\(/.test(line));
  expect(rows.length).toBe(lines.length);
  expect(rows.length).toBeGreaterThan(80);
  const missing: string[] = [];
  for (const { groups } of rows) {
    const text = await readFile(join(import.meta.dirname, groups?.['file'] ?? ''), 'utf8');
    const name = groups?.['name'] ?? '';
    // As it stands in one kind of quotes or another.
    if (!["'", '"', '`'].some((quote) => text.includes(quote + name + quote))) missing.push(name);
  }
  expect(missing).toEqual([]);
});
