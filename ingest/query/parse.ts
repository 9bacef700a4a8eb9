import { isIP } from 'node:net';
import type { Pattern, Query } from './ast.ts';
import { QuerySyntaxError } from './errors.ts';
import { fieldType, knownFields, shortNames } from './fields.ts';
import { lex, type Glyph, type Token } from './lex.ts';
import { words } from './words.ts';

/**
 * The query language.
 *
 *     query  = and { "OR" and }
 *     and    = not { ["AND"] not }              side by side means AND
 *     not    = "NOT" not | "(" query ")" | term
 *     term   = word | word* | "a phrase" | field:value | field:"a value" | *
 *
 * - `AND`, `OR`, `NOT` are upper-case. `\` takes the next character as it is.
 * - A word or phrase is looked for in the message. What has separators in it is a phrase: `10.0.0.1` is four words side
 *   by side. A `*` may only stand at the end: `conn*`. A `*` alone is everything.
 * - A value is compared whole; `*` in it stands for any characters, also at the front, but not in quotes. `field:*`: the
 *   field is there. In a flattened field (`fields.…`, `container.labels.…`) it may only stand at the end. In a text field (`message`, `error.message`, `error.stack_trace`) the value is words.
 * - `image:NAME` is a name with or without the registry's host; `image:NAME:TAG` and `image:NAME@DIGEST` ask for both.
 *   `container:` is a name or an id; 12 or more hex digits are also the start of an id.
 *
 * Bounds: 4,096 characters, 64 terms, 32 levels, 4 `*` a value.
 */
export const bounds = { length: 4096, terms: 64, depth: 32, wildcards: 4 } as const;

/** The query that a text says; `undefined` for an empty one. @throws {QuerySyntaxError} */
export function parseQuery(text: string): Query | undefined {
  if (text.length > bounds.length) {
    throw new QuerySyntaxError('TOO_LONG', bounds.length, `a query has at most ${bounds.length} characters`);
  }
  if (text.trim() === '') return undefined;
  return new Parser(lex(text)).parse();
}

type Term = Extract<Token, { kind: 'term' }>;

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #terms = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): Query {
    const query = this.#or(0);
    if (this.#next.kind !== 'end') throw this.#error('PARENTHESIS', 'this parenthesis was never opened');
    return query;
  }

  get #next(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new Error('read past the end of a query');
    return token;
  }

  #error(code: 'PARENTHESIS' | 'TERM_MISSING' | 'TOO_DEEP' | 'TOO_MANY_TERMS', message: string): QuerySyntaxError {
    return new QuerySyntaxError(code, this.#next.position, message);
  }

  #or(depth: number): Query {
    const operands = [this.#and(depth)];
    while (this.#next.kind === 'OR') {
      this.#at += 1;
      operands.push(this.#and(depth));
    }
    return join('or', operands);
  }

  #and(depth: number): Query {
    const operands = [this.#not(depth)];
    for (;;) {
      if (this.#next.kind === 'AND') this.#at += 1;
      else if (!['open', 'NOT', 'term'].includes(this.#next.kind)) return join('and', operands);
      operands.push(this.#not(depth));
    }
  }

  #not(depth: number): Query {
    if (depth > bounds.depth) throw this.#error('TOO_DEEP', `a query nests at most ${bounds.depth} levels`);
    const token = this.#next;
    switch (token.kind) {
      case 'NOT':
        this.#at += 1;
        return { kind: 'not', operand: this.#not(depth + 1) };
      case 'open': {
        this.#at += 1;
        const query = this.#or(depth + 1);
        if (this.#next.kind !== 'close') {
          throw new QuerySyntaxError('PARENTHESIS', token.position, 'this parenthesis is never closed');
        }
        this.#at += 1;
        return query;
      }
      case 'term':
        this.#terms += 1;
        if (this.#terms > bounds.terms) {
          throw this.#error('TOO_MANY_TERMS', `a query has at most ${bounds.terms} terms`);
        }
        this.#at += 1;
        return term(token);
      case 'close':
      case 'AND':
      case 'OR':
      case 'end':
        throw this.#error('TERM_MISSING', 'a word or field:value is missing here');
    }
  }
}

function join(kind: 'and' | 'or', operands: readonly Query[]): Query {
  const [only, second] = operands;
  return only !== undefined && second === undefined ? only : { kind, operands };
}

function term(token: Term): Query {
  if (token.field === undefined) return text('message', token);
  const names = shortNames.get(token.field) ?? [token.field];
  if (!token.quoted && token.glyphs.length === 0) {
    throw new QuerySyntaxError('VALUE_MISSING', token.position, `a value must follow ${token.field}: without a space`);
  }
  const type = fieldType(names[0] ?? '');
  if (type === undefined) {
    throw new QuerySyntaxError(
      'FIELD_UNKNOWN',
      token.position,
      `there is no field ${token.field}; put it in quotes to look for it in the message. Fields: ${knownFields()}`,
    );
  }
  const pattern = toPattern(token.glyphs);
  if (pattern.length - 1 > bounds.wildcards) {
    throw new QuerySyntaxError('WILDCARD', token.position, `a value has at most ${bounds.wildcards} *`);
  }
  if (isAny(pattern)) return { kind: 'field', fields: names, pattern };
  switch (type) {
    case 'text':
      return text(token.field, token);
    case 'integer':
    case 'ip':
      return { kind: 'field', fields: names, pattern: plainValue(type, pattern, token) };
    case 'flattened':
      if (pattern.length > 1 && (pattern.length > 2 || pattern[1] !== '')) {
        // Elasticsearch cannot do more there.
        throw new QuerySyntaxError('WILDCARD', token.position, 'in this field, * may only stand at the end');
      }
      return { kind: 'field', fields: names, pattern };
    case 'keyword':
      if (token.field === 'image') return image(token.glyphs);
      if (token.field === 'container') return container(pattern);
      if (token.field === 'digest') return digest(pattern);
      return { kind: 'field', fields: names, pattern };
  }
}

/** Words of a text field, side by side. */
function text(field: string, { glyphs, quoted, position }: Term): Query {
  const stars = glyphs.filter(({ wild }) => wild).length;
  const last = glyphs.at(-1)?.wild === true;
  if (stars === 1 && glyphs.length === 1 && field === 'message') return { kind: 'and', operands: [] };
  if (stars > (last ? 1 : 0)) {
    throw new QuerySyntaxError('WILDCARD', position, 'in the message, * may only stand at the end of a word: conn*');
  }
  const value = glyphs.map(({ text }) => text).join('');
  const found = words(value.slice(0, last ? -1 : undefined));
  if (found.length === 0) {
    const hint = quoted ? '' : '; words are runs of letters and digits';
    throw new QuerySyntaxError('WORD_MISSING', position, `there is no word in this${hint}`);
  }
  // `10.0.*` has no word that the star could end: whatever follows the separator will do.
  const prefix = last && words(`${value.slice(0, -1)}a`).length === found.length;
  return { kind: 'words', field, words: found, prefix };
}

function plainValue(type: 'integer' | 'ip', pattern: Pattern, { position }: Term): Pattern {
  const [value = ''] = pattern;
  const valid = type === 'ip' ? isIP(value) !== 0 && !value.includes('%') : /^-?\d{1,9}$/.test(value);
  if (pattern.length === 1 && valid) return pattern;
  const expected = type === 'ip' ? 'an IP address' : 'a whole number of at most 9 digits';
  throw new QuerySyntaxError('VALUE_INVALID', position, `this field takes ${expected}, without *`);
}

/** `NAME`, `NAME:TAG`, `NAME@DIGEST`, as Docker reads them: a colon before the last slash belongs to a port. */
function image(glyphs: readonly Glyph[]): Query {
  const names = shortNames.get('image') ?? [];
  const at = glyphs.findIndex(({ text }) => text === '@');
  const slash = glyphs.findLastIndex(({ text }) => text === '/');
  const colon = glyphs.findLastIndex(({ text }, index) => text === ':' && index > slash && (at < 0 || index < at));
  const nameEnd = [colon, at].filter((index) => index >= 0).toSorted((a, b) => a - b)[0] ?? glyphs.length;
  const operands: Query[] = [{ kind: 'field', fields: names, pattern: toPattern(glyphs.slice(0, nameEnd)) }];
  if (colon >= 0) {
    const tag = glyphs.slice(colon + 1, at < 0 ? undefined : at);
    operands.push({ kind: 'field', fields: ['container.image.tag'], pattern: toPattern(tag) });
  }
  if (at >= 0) {
    operands.push(digest(toPattern(glyphs.slice(at + 1))));
  }
  return join('and', operands);
}

function container(pattern: Pattern): Query {
  const [name = ''] = pattern;
  const either: Query = { kind: 'field', fields: ['container.name', 'container.id'], pattern };
  if (pattern.length > 1 || !/^[0-9a-f]{12,63}$/.test(name)) return either;
  return {
    kind: 'or',
    operands: [
      { kind: 'field', fields: ['container.name'], pattern },
      { kind: 'field', fields: ['container.id'], pattern: [name, ''] },
    ],
  };
}

/** A digest, or its start as Docker shows it: 12 hex digits or more, with or without the algorithm. */
function digest(pattern: Pattern): Query {
  const fields = ['container.image.hash.all'];
  const [value = ''] = pattern;
  const [, algorithm = 'sha256', hex = ''] = /^(?:(sha256|sha512):)?([0-9a-f]{12,128})$/.exec(value) ?? [];
  const isStart = pattern.length === 1 && hex !== '' && hex.length !== (algorithm === 'sha256' ? 64 : 128);
  if (isStart) return { kind: 'field', fields, pattern: [`${algorithm}:${hex}`, ''] };
  return { kind: 'field', fields, pattern: pattern.length === 1 && hex !== '' ? [`${algorithm}:${hex}`] : pattern };
}

/** Literal pieces between wildcards; wildcards side by side are one. */
function toPattern(glyphs: readonly Glyph[]): Pattern {
  const pieces = [''];
  glyphs.forEach(({ text, wild }, index) => {
    if (!wild) pieces[pieces.length - 1] += text;
    else if (glyphs[index - 1]?.wild !== true) pieces.push('');
  });
  return pieces;
}

/** `*`: any value at all. */
export function isAny(pattern: Pattern): boolean {
  return pattern.length === 2 && pattern.every((piece) => piece === '');
}
