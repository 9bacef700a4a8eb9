import { resolve } from 'node:path';
import { type Key, keys, variable } from '../../src/config/keys.ts';

/** The page that lists the keys of the configuration. */
export const page = resolve(import.meta.dirname, '../../docs/configuration.md');

const [start, end] = ['<!-- keys: written by npm run docs -->\n\n', '\n<!-- keys: end -->'];

/** The page with its list of keys as the schema has them. @throws {Error} if the marks around the list are not there. */
export function withReference(text: string): string {
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${page}: expected the lines ${start.trim()} and ${end.trim()}`);
  return text.slice(0, from + start.length) + reference([...keys.values()]) + text.slice(to);
}

/** A section a group of keys, and an entry a key. */
export function reference(all: readonly Key[]): string {
  const sections = Map.groupBy(all, ({ name }) => name.split('.').slice(0, -1).join('.'));
  return [...sections].map(([name, members]) => `${heading(name)}${members.map(entry).join('')}`).join('\n');
}

function heading(section: string): string {
  return section === '' ? '' : `### ${section}\n\n`;
}

function entry({ name, kind, secret, fallback, description }: Key): string {
  const head = [
    `- **\`${name}\`**`,
    secret ? `${kind}, secret` : kind,
    fallback === undefined ? 'no default' : `default ${fallback}`,
    `\`${variable(name)}\`\\\n`,
  ];
  return head.join(' · ') + wrap(description);
}

/** Lines of an entry, of 120 characters at most; code is not broken. */
function wrap(text: string): string {
  const lines: string[] = [];
  for (const word of text.match(/(?:`[^`]*`|[^\s`])+/g) ?? []) {
    const longer = `${lines.at(-1) ?? ''} ${word}`;
    if (lines.length > 0 && longer.length <= 118) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.map((line) => `  ${line}\n`).join('');
}
