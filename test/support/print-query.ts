import type { Pattern, Query } from '../../ingest/query/ast.ts';

/** A query's text, with every parenthesis. */
export function printQuery(query: Query): string {
  switch (query.kind) {
    case 'words': {
      const name = query.field === 'message' ? '' : `${query.field}:`;
      return query.prefix ? `${name}${query.words.join('-')}*` : `${name}"${query.words.join(' ')}"`;
    }
    case 'not':
      return `(NOT ${printQuery(query.operand)})`;
    case 'and':
    case 'or':
      if (query.operands.length === 0) return query.kind === 'and' ? '*' : '(NOT *)';
      return `(${query.operands.map(printQuery).join(query.kind === 'and' ? ' AND ' : ' OR ')})`;
    case 'field':
      return `(${query.fields.map((field) => `${field}:${printPattern(query.pattern)}`).join(' OR ')})`;
  }
}

function printPattern(pattern: Pattern): string {
  if (pattern.length === 1) return `"${(pattern[0] ?? '').replace(/["\\]/g, '\\$&')}"`;
  return pattern.map((piece) => piece.replace(/[\s()"*\\]/g, '\\$&')).join('*');
}
