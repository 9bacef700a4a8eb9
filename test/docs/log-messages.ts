import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** A warning or an error that some line of the sources writes to the log. */
export interface LogMessage {
  readonly level: 'warn' | 'error' | 'fatal';
  /** What is inserted stands there as `…`. */
  readonly message: string;
  /** `src/log.ts:12` */
  readonly place: string;
}

/** All of them. @throws {Error} where a call's message is no text of its own, so that it cannot be read here. */
export function logMessages(): LogMessage[] {
  const files = ['src', 'ingest', 'storage']
    .flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root }))
    // It passes on what others say.
    .filter((file) => file !== 'ingest/rarely.ts');
  return files.flatMap((file) => {
    const source = readFileSync(resolve(root, file), 'utf8');
    return [...source.matchAll(/\b(?:log|told|refusals)\??\.(warn|error|fatal)\(/g)].flatMap((match) => {
      const place = `${file}:${source.slice(0, match.index).split('\n').length}`;
      const [, level] = match;
      if (level !== 'warn' && level !== 'error' && level !== 'fatal') return [];
      return messages(callAt(source, match.index + match[0].length), place).map((message) => ({
        level,
        message,
        place,
      }));
    });
  });
}

/** The arguments of a call that begin at `start`. */
function callAt(source: string, start: number): string {
  let open = 1;
  for (let at = start; at < source.length; at += 1) {
    const text = /^(?:'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)/.exec(source.slice(at, at + 1000))?.[0];
    if (text !== undefined) at += text.length - 1;
    else if (source[at] === '(') open += 1;
    else if (source[at] === ')') open -= 1;
    if (open === 0) return source.slice(start, at);
  }
  return source.slice(start);
}

const literal = /'((?:\\.|[^'\\])*)'|`((?:\\.|[^`\\])*)`/g;

/** The texts of the last argument: one, which may be joined of parts, or those of a choice. */
function messages(call: string, place: string): string[] {
  const last = new RegExp(`(?:(?:${literal.source})[\\s+?:]*)+,?\\s*$`).exec(call)?.[0];
  if (last === undefined) throw new Error(`${place}: the message must be the last argument, and a text`);
  const texts = [...last.matchAll(literal)].map(
    ([, plain, template]) => plain ?? template?.replaceAll(/\$\{[^}]*\}/g, '…') ?? '',
  );
  return last.replaceAll(literal, '').includes(':') ? texts : [texts.join('')];
}
