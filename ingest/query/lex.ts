import { QuerySyntaxError } from './errors.ts';

/** A character of a value; a bare `*` is a wildcard, an escaped or quoted one is not. */
export interface Glyph {
  readonly text: string;
  readonly wild: boolean;
}

/** A piece of a query. `position` counts UTF-16 units from the start of the text. */
export type Token =
  | { readonly kind: 'open' | 'close' | 'AND' | 'OR' | 'NOT' | 'end'; readonly position: number }
  | {
      readonly kind: 'term';
      readonly position: number;
      /** What stands before the colon, as typed. */
      readonly field?: string;
      readonly quoted: boolean;
      readonly glyphs: readonly Glyph[];
    };

const space = /\s+/y;
const name = /([A-Za-z@_][\w.@/-]*):/y;
const operators: readonly ('AND' | 'OR' | 'NOT')[] = ['AND', 'OR', 'NOT'];

/** Cuts a query into tokens; the last is `end`. @throws {QuerySyntaxError} for a quote that never closes. */
export function lex(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const skip = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  for (;;) {
    skip(space);
    const position = at;
    const first = text[at];
    if (first === undefined) return [...tokens, { kind: 'end', position }];
    if (first === '(' || first === ')') {
      tokens.push({ kind: first === '(' ? 'open' : 'close', position });
      at += 1;
      continue;
    }
    const field = skip(name)?.[1];
    const quoted = text[at] === '"';
    const glyphs = quoted ? readQuoted() : readBare();
    const operator = field === undefined ? operators.find((word) => word === text.slice(position, at)) : undefined;
    if (operator !== undefined) tokens.push({ kind: operator, position });
    else tokens.push({ kind: 'term', position, quoted, glyphs, ...(field === undefined ? {} : { field }) });
  }

  function readBare(): Glyph[] {
    const glyphs: Glyph[] = [];
    for (let unit = text[at]; unit !== undefined && !/[\s()"]/.test(unit); unit = text[at]) {
      const escaped = unit === '\\' && text[at + 1] !== undefined;
      glyphs.push(escaped ? { text: text[at + 1] ?? '', wild: false } : { text: unit, wild: unit === '*' });
      at += escaped ? 2 : 1;
    }
    return glyphs;
  }

  function readQuoted(): Glyph[] {
    const start = at;
    const glyphs: Glyph[] = [];
    at += 1;
    for (let unit = text[at]; unit !== '"'; unit = text[at]) {
      if (unit === undefined) throw new QuerySyntaxError('QUOTE_OPEN', start, 'this quote is never closed');
      const escaped = unit === '\\' && text[at + 1] !== undefined;
      glyphs.push({ text: escaped ? (text[at + 1] ?? '') : unit, wild: false });
      at += escaped ? 2 : 1;
    }
    at += 1;
    return glyphs;
  }
}
