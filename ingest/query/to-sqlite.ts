import type { Pattern, Query } from './ast.ts';
import { isAny } from './parse.ts';

/** A condition in SQL with its values; the text holds nothing that a user wrote. */
export interface Condition {
  readonly sql: string;
  readonly parameters: readonly string[];
}

/** A query for the tables of `embedded-schema.ts`; what is absent does not restrict. All three must hold. */
export interface SqliteQuery {
  /** An expression for `words MATCH ?`. */
  readonly match?: string;
  /** On the table `sources`. */
  readonly sources?: Condition;
  /** On the table `documents`. */
  readonly documents?: Condition;
}

/** Fields that many documents have in common: each combination is one row of `sources`. */
export const sourceFields: readonly string[] = [
  'container.id',
  'container.image.hash.all',
  'container.image.name',
  'container.image.tag',
  'container.name',
  'container.runtime',
  'host.name',
  'log.level',
  'log.syslog.appname',
  'orchestrator.cluster.name',
  'service.name',
  'shiplog.image.repository',
  'shiplog.stream',
  'tags',
];

/** Translates a query: what is words goes to the index of words, what is sources to that small table. */
export function toSqlite(query: Query): SqliteQuery {
  const parts = conjuncts(query);
  const hasMatch = parts.some((part) => toMatch(part) !== undefined);
  const matches: Query[] = [];
  const sources: Condition[] = [];
  const documents: Condition[] = [];
  for (const part of parts) {
    const condition = onSources(part);
    const indexed = part.kind === 'not' && hasMatch ? part.operand : part;
    if (condition !== undefined) sources.push(condition);
    else if (toMatch(indexed) !== undefined) matches.push(part);
    else documents.push(onDocuments(part));
  }
  const match = toMatch({ kind: 'and', operands: matches });
  return {
    ...(match === undefined ? {} : { match }),
    ...(sources.length === 0 ? {} : { sources: both('AND', sources) }),
    ...(documents.length === 0 ? {} : { documents: both('AND', documents) }),
  };
}

/** Name under which the search registers `matchesField`. */
export const fieldFunction = 'shiplog_field';

function conjuncts(query: Query): readonly Query[] {
  return query.kind === 'and' ? query.operands.flatMap(conjuncts) : [query];
}

/** An FTS5 expression, where the query is words alone and FTS5 can say it: its NOT needs something to take from. */
function toMatch(query: Query): string | undefined {
  switch (query.kind) {
    case 'words':
      // A folded word has no quote in it: that is a separator.
      return query.field === 'message' ? `"${query.words.join(' ')}"${query.prefix ? ' *' : ''}` : undefined;
    case 'field':
    case 'not':
      return undefined;
    case 'or':
      return combine(query.operands.map(toMatch), 'OR');
    case 'and': {
      const parts = query.operands.flatMap(conjuncts);
      const wanted = combine(parts.filter((part) => part.kind !== 'not').map(toMatch), 'AND');
      const unwanted = parts.flatMap((part) => (part.kind === 'not' ? [toMatch(part.operand)] : []));
      if (unwanted.length === 0) return wanted;
      return combine([wanted, combine(unwanted, 'OR')], 'NOT');
    }
  }
}

function combine(parts: readonly (string | undefined)[], operator: 'AND' | 'OR' | 'NOT'): string | undefined {
  const known = parts.filter((part) => part !== undefined);
  if (known.length === 0 || known.length < parts.length) return undefined;
  return known.length === 1 ? known[0] : `(${known.join(` ${operator} `)})`;
}

/** A condition on `sources` alone, where every field of the query is kept there. */
function onSources(query: Query): Condition | undefined {
  switch (query.kind) {
    case 'words':
      return undefined;
    case 'field':
      if (!query.fields.every((field) => sourceFields.includes(field))) return undefined;
      return both(
        'OR',
        query.fields.map((field) => inSource(field, query.pattern)),
      );
    case 'not': {
      const inner = onSources(query.operand);
      return inner && { sql: `NOT ${inner.sql}`, parameters: inner.parameters };
    }
    case 'and':
    case 'or': {
      const parts = query.operands.map(onSources).filter((part) => part !== undefined);
      if (parts.length === 0 || parts.length < query.operands.length) return undefined;
      return both(query.kind === 'and' ? 'AND' : 'OR', parts);
    }
  }
}

function inSource(field: string, pattern: Pattern): Condition {
  const values = 'EXISTS (SELECT 1 FROM json_each(sources.facts, ?)';
  const path = `$."${field}"`;
  if (isAny(pattern)) return { sql: `${values})`, parameters: [path] };
  if (pattern.length === 1) return { sql: `${values} WHERE value = ?)`, parameters: [path, pattern[0] ?? ''] };
  return { sql: `${values} WHERE value GLOB ?)`, parameters: [path, toGlob(pattern)] };
}

/** SQLite's GLOB compares case and all, as Elasticsearch's `wildcard` does. */
function toGlob(pattern: Pattern): string {
  return pattern.map((piece) => piece.replace(/[*?[]/g, '[$&]')).join('*');
}

function onDocuments(query: Query): Condition {
  const condition = onSources(query);
  if (condition !== undefined) {
    const { sql, parameters } = condition;
    return { sql: `documents.source IN (SELECT source FROM sources WHERE ${sql})`, parameters };
  }
  const match = toMatch(query);
  if (match !== undefined) {
    return { sql: 'documents.key IN (SELECT rowid FROM words WHERE words MATCH ?)', parameters: [match] };
  }
  switch (query.kind) {
    case 'words':
    case 'field':
      return { sql: `${fieldFunction}(documents.json, ?)`, parameters: [JSON.stringify(query)] };
    case 'not': {
      const { sql, parameters } = onDocuments(query.operand);
      return { sql: `NOT ${sql}`, parameters };
    }
    case 'and':
    case 'or':
      return query.operands.length === 0
        ? { sql: query.kind === 'and' ? '1' : '0', parameters: [] }
        : both(query.kind === 'and' ? 'AND' : 'OR', query.operands.map(onDocuments));
  }
}

function both(operator: 'AND' | 'OR', parts: readonly Condition[]): Condition {
  return {
    sql: `(${parts.map(({ sql }) => sql).join(` ${operator} `)})`,
    parameters: parts.flatMap(({ parameters }) => parameters),
  };
}
