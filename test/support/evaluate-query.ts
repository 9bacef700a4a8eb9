import type { Query } from '../../ingest/query/ast.ts';

/** Whether a document matches, told in the plainest way: what the sinks' answers are compared with. */
export function evaluate(query: Query, document: unknown): boolean {
  switch (query.kind) {
    case 'and':
      return query.operands.every((operand) => evaluate(operand, document));
    case 'or':
      return query.operands.some((operand) => evaluate(operand, document));
    case 'not':
      return !evaluate(query.operand, document);
    case 'words':
      return leaves(document).some(({ name, value }) => {
        // Spaces around, so that words are found whole.
        const wanted = ` ${query.words.join(' ')}${query.prefix ? '' : ' '}`;
        return name === query.field && ` ${plainWords(value).join(' ')} `.includes(wanted);
      });
    case 'field':
      return leaves(document).some(
        ({ name, value }) =>
          query.fields.includes(name) && new RegExp(`^${query.pattern.map(escape).join('.*')}$`, 'sv').test(value),
      );
  }
}

/** Words, where a text is such that they are easy to tell. */
export function plainWords(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}\p{M}]+/gv) ?? [];
}

function leaves(value: unknown, name = ''): { name: string; value: string }[] {
  if (Array.isArray(value)) return value.flatMap((item) => leaves(item, name));
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => leaves(inner, name === '' ? key : `${name}.${key}`));
  }
  return [{ name, value: String(value) }];
}

function escape(text: string): string {
  return RegExp.escape(text);
}
