import { isIPv6, SocketAddress } from 'node:net';
import type { Pattern, Query } from './ast.ts';
import { fieldType, longestKeyword } from './fields.ts';
import { isAny } from './parse.ts';
import { words } from './words.ts';

/** A query about one field, or several of which any will do. */
export type Leaf = Extract<Query, { kind: 'words' | 'field' }>;

/** The scalars under a dotted name in a document, as texts: through arrays, and through keys that have dots themselves. */
export function valuesAt(document: unknown, name: string): string[] {
  if (Array.isArray(document)) return document.flatMap((item) => valuesAt(item, name));
  if (!isObject(document)) return [];
  const found = Object.hasOwn(document, name) ? scalars(document[name]) : [];
  for (const { key, rest } of splitsOf(name)) {
    if (Object.hasOwn(document, key)) found.push(...valuesAt(document[key], rest));
  }
  return found;
}

/** A way to part a name into a key and what is looked for under it. */
interface Split {
  readonly key: string;
  readonly rest: string;
}

const splits = new Map<string, readonly Split[]>();

/** Kept, since a name is asked of each document. Names come from users: the memory is bounded. */
function splitsOf(name: string): readonly Split[] {
  const known = splits.get(name);
  if (known !== undefined) return known;
  const found: Split[] = [];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    found.push({ key: name.slice(0, dot), rest: name.slice(dot + 1) });
  }
  if (splits.size >= 250) splits.clear();
  splits.set(name, found);
  return found;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Whether a query finds a document. */
export function matches(query: Query, document: unknown): boolean {
  switch (query.kind) {
    case 'words':
    case 'field':
      return matchesField(document, query);
    case 'not':
      return !matches(query.operand, document);
    case 'and':
      return query.operands.every((operand) => matches(operand, document));
    case 'or':
      return query.operands.some((operand) => matches(operand, document));
  }
}

/** Whether a document, as JSON text says it, has such a value. */
export function matchesField(document: unknown, leaf: Leaf): boolean {
  if (leaf.kind === 'words') return valuesAt(document, leaf.field).some((value) => hasWords(value, leaf));
  return leaf.fields.some((field) => {
    const values = valuesAt(document, field);
    const [wanted = ''] = leaf.pattern;
    switch (fieldType(field)) {
      case 'text':
        // Only `field:*` comes as a pattern.
        return values.length > 0;
      case 'ip':
        return values.some((value) => isAny(leaf.pattern) || canonical(value) === canonical(wanted));
      case 'keyword':
      case 'flattened':
      case 'integer':
      case undefined:
        return values.some((value) => value.length <= longestKeyword && matchesPattern(value, leaf.pattern));
    }
  });
}

/** Whether a whole value fits a pattern; in time linear in the value. */
export function matchesPattern(value: string, pattern: Pattern): boolean {
  const [first = '', ...rest] = pattern;
  const last = rest.pop();
  if (last === undefined) return value === first;
  if (!value.startsWith(first)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = value.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return value.length - at >= last.length && value.endsWith(last);
}

function scalars(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(scalars);
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? [String(value)] : [];
}

function hasWords(text: string, { words: wanted, prefix }: Extract<Query, { kind: 'words' }>): boolean {
  const there = words(text);
  return there.some((_, start) =>
    wanted.every((word, index) => {
      const found = there[start + index] ?? '';
      return prefix && index === wanted.length - 1 ? found.startsWith(word) : found === word;
    }),
  );
}

function canonical(address: string): string {
  if (!isIPv6(address)) return address;
  return new SocketAddress({ address, family: 'ipv6' }).address.replace(/^::ffff:(?=\d+\.)/, '');
}
