import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { pages, root } from './pages.ts';

/** A page without what is code in it. */
function prose(page: string): string {
  return readFileSync(join(root, page), 'utf8').replaceAll(/^ *```[^]*?^ *```$/gm, '');
}

/** What GitHub calls the headings of a page. */
function anchors(page: string): string[] {
  const headings = prose(page).matchAll(/^#+ (.+)$/gm);
  return [...headings].map(([, text = '']) =>
    text
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('what the pages link to is there', () => {
  const broken = pages().flatMap((page) =>
    [...prose(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].flatMap(([link, file = '', anchor]) => {
      const target = file === '' ? page : join(dirname(page), file);
      if (!existsSync(join(root, target))) return [`${page}: ${link}`];
      return anchor === undefined || anchors(target).includes(anchor) ? [] : [`${page}: ${link}`];
    }),
  );
  expect(broken).toEqual([]);
});

test('files that the pages on its building name are there', () => {
  const named = ['docs/architecture.md', 'docs/formats.md'].flatMap((page) => [
    ...prose(page).matchAll(/\b(?:src|storage|ingest|test)\/[\w./-]*\w/g),
  ]);
  expect(named.map(([path]) => path).filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test('docs/README.md lists every page', () => {
  const index = prose('docs/README.md');
  const all = pages().filter((page) => page !== 'README.md' && page !== 'docs/README.md');
  expect(all.filter((page) => !index.includes(`(${page.slice('docs/'.length)})`))).toEqual([]);
});
