import type { estypes } from '@elastic/elasticsearch';
import type { Pattern, Query } from './ast.ts';
import { fieldType } from './fields.ts';
import { isAny } from './parse.ts';

type Container = estypes.QueryDslQueryContainer;

/** How many different words the start of one may stand for where it ends a phrase: `"connection" re*`. */
const expansions = 10_000;

/** Translates a query into a tree of Elasticsearch's; never into a text that it would parse. */
export function toElasticsearch(query: Query): Container {
  switch (query.kind) {
    case 'words':
      return onWords(query);
    case 'field':
      return any(query.fields.map((field) => onField(field, query.pattern)));
    case 'and':
      return query.operands.length === 0
        ? { match_all: {} }
        : { bool: { filter: query.operands.map(toElasticsearch) } };
    case 'or':
      return any(query.operands.map(toElasticsearch));
    case 'not':
      return { bool: { must_not: [toElasticsearch(query.operand)] } };
  }
}

function any(parts: readonly Container[]): Container {
  const [only, second] = parts;
  if (only === undefined) return { match_none: {} };
  return second === undefined ? only : { bool: { should: [...parts], minimum_should_match: 1 } };
}

function onWords({ field, words, prefix }: Extract<Query, { kind: 'words' }>): Container {
  const [first = '', second] = words;
  const text = words.join(' ');
  if (second === undefined)
    return prefix ? { prefix: { [field]: { value: first } } } : { term: { [field]: { value: first } } };
  if (prefix) return { match_phrase_prefix: { [field]: { query: text, max_expansions: expansions } } };
  return { match_phrase: { [field]: { query: text } } };
}

function onField(field: string, pattern: Pattern): Container {
  const [first = '', second] = pattern;
  if (isAny(pattern)) return { exists: { field } };
  if (second === undefined) return { term: { [field]: { value: first } } };
  if (fieldType(field) === 'flattened' || (pattern.length === 2 && second === '')) {
    return { prefix: { [field]: { value: first } } };
  }
  const value = pattern.map((piece) => piece.replace(/[*?\\]/g, '\\$&')).join('*');
  return { wildcard: { [field]: { value } } };
}
