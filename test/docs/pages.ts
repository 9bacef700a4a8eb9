import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The folder of the package. */
export const root = resolve(import.meta.dirname, '../..');

/** A block of a page that is marked as some language. */
export interface Block {
  /** `docs/tls.md` */
  readonly page: string;
  /** Its first line, as it stands in the page. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** Why it is not run, as a comment above it says: `<!-- not run: … -->`. */
  readonly notRun: string | undefined;
}

/** README.md, and all that is in docs/. */
export function pages(): string[] {
  return ['README.md', ...globSync('docs/*.md', { cwd: root }).toSorted((a, b) => (a < b ? -1 : 1))];
}

/** Its blocks in some language, in order. */
export function blocksOf(page: string, language: string): Block[] {
  const source = readFileSync(join(root, page), 'utf8');
  return [...source.matchAll(/(?:<!-- not run: ([^]*?) -->\n\n)?^( *)```(\w+)\n([^]*?)^ *```$/gm)].flatMap((match) => {
    const [whole, notRun, indent = '', found = '', text = ''] = match;
    if (found !== language) return [];
    const line = source.slice(0, match.index + whole.indexOf('```')).split('\n').length + 1;
    return [{ page, line, language, text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''), notRun }];
  });
}
