import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { Query } from '../query/ast.ts';
import { compare, type Position } from '../query/cursor.ts';
import { largestPage, pageLength } from '../query/search.ts';
import { fieldFunction, toSqlite, type SqliteQuery } from '../query/to-sqlite.ts';
import { matchesField, type Leaf } from '../query/values.ts';
import { dayFiles, firstKey, openForReading, timeOf } from './embedded-schema.ts';
import { serve } from './embedded-worker.ts';

/** A search on its way to a thread. Times in ms since 1970; `deadline` too, looked at between files. */
export interface SearchTask {
  readonly directory: string;
  readonly query?: Query;
  readonly since?: number;
  readonly until?: number;
  readonly limit: number;
  readonly before?: Position;
  readonly deadline: number;
}

/** What a search found; `next` is the last place that it looked at, absent at the end. */
export interface Found {
  readonly records: readonly string[];
  readonly next?: Position;
}

interface Hit extends Position {
  readonly json: string;
}

serve(search);

interface File {
  readonly name: string;
  /** The greatest time in it that the search may see, in ms. */
  readonly greatest: number;
}

/** Goes through the files from the newest `@timestamp` on, until no other file can hold a newer record than those found. */
function search(task: SearchTask): Found {
  const query = task.query === undefined ? {} : toSqlite(task.query);
  const files = candidates(task);
  let hits: Hit[] = [];
  for (const [index, { name }] of files.entries()) {
    hits = firstOf([...hits, ...searchFile(task, query, name)], task.limit);
    const next = files[index + 1];
    if (next === undefined) break;
    const last = hits[pageLength(hits, task.limit)];
    if (last !== undefined && last.time > next.greatest) break;
    // What is newer than all the rest is certain; a page must get on from where the one before ended.
    const place: Position = { time: next.greatest + 1, sequence: 0, id: '' };
    if (Date.now() > task.deadline && (task.before === undefined || compare(place, task.before) > 0)) {
      const certain = hits.filter((hit) => hit.time > next.greatest);
      return { records: certain.map(({ json }) => json), next: place };
    }
  }
  const page = hits.slice(0, pageLength(hits, task.limit));
  const last = page.at(-1);
  const records = page.map(({ json }) => json);
  return hits.length > page.length && last !== undefined ? { records, next: place(last) } : { records };
}

/** In order what makes a page, and one more, which tells whether there is a next page. */
function firstOf(hits: readonly Hit[], limit: number): Hit[] {
  const sorted = hits.toSorted(compare);
  return sorted.slice(0, pageLength(sorted, limit) + 1);
}

function place({ time, sequence, id }: Hit): Position {
  return { time, sequence, id };
}

/** Files that may hold something, newest first. */
function candidates(task: SearchTask): File[] {
  const [from, to] = range(task);
  return dayFiles(task.directory)
    .flatMap((name) => {
      using database = openForReading(task.directory, name);
      const statement = database?.prepare('SELECT min(key) AS least, max(key) AS greatest FROM documents');
      statement?.setReadBigInts(true);
      const { least, greatest } = statement?.get() ?? {};
      if (typeof least !== 'bigint' || typeof greatest !== 'bigint' || least >= to || greatest < from) return [];
      return [{ name, greatest: timeOf(greatest < to ? greatest : to - 1n) }];
    })
    .toSorted((a, b) => b.greatest - a.greatest);
}

/** Keys from, and below. */
function range({ since, until, before }: SearchTask): [bigint, bigint] {
  const ends = [until ?? Infinity, before === undefined ? Infinity : before.time + 1];
  return [firstKey(Math.ceil(since ?? 0)), firstKey(Math.ceil(Math.min(...ends)))];
}

/** A file's part of `firstOf` all hits. */
function searchFile(task: SearchTask, query: SqliteQuery, name: string): Hit[] {
  using database = openForReading(task.directory, name);
  if (database === undefined) return [];
  database.function(fieldFunction, { deterministic: true }, fieldMatcher());
  const { sql, parameters } = statement(database, query, range(task));
  const prepared = database.prepare(sql);
  prepared.setReadBigInts(true);
  const hits: Hit[] = [];
  let characters = 0;
  let group: Hit[] = [];
  let ofGroup = 0;
  for (const row of prepared.iterate(...parameters)) {
    const hit = toHit(row);
    if (hit.time !== group[0]?.time) {
      hits.push(...group.toSorted(compare));
      characters += ofGroup;
      [group, ofGroup] = [[], 0];
      if (hits.length > task.limit || (hits.length > 1 && characters > largestPage)) break;
    }
    if (task.before !== undefined && compare(hit, task.before) <= 0) continue;
    group.push(hit);
    ofGroup += hit.json.length;
    // Of one millisecond no more than a page is kept.
    if (group.length > 2 * task.limit + 1000 || ofGroup > 2 * largestPage) {
      group = firstOf(group, task.limit);
      ofGroup = group.reduce((sum, { json }) => sum + json.length, 0);
    }
  }
  return firstOf([...hits, ...group], task.limit);
}

function toHit(row: Record<string, unknown>): Hit {
  const { key, sequence, id, json } = row;
  if (typeof key !== 'bigint' || typeof id !== 'string' || typeof json !== 'string') throw new Error('a row is odd');
  return { time: timeOf(key), sequence: Number(sequence), id, json };
}

/** Documents of so few sources are gathered by their source; of more, picked while walking through time. */
const fewDocuments = 20_000;

function statement(
  database: DatabaseSync,
  { match, sources, documents }: SqliteQuery,
  [from, to]: [bigint, bigint],
): { sql: string; parameters: SQLInputValue[] } {
  const key = match === undefined ? 'documents.key' : 'words.rowid';
  const few = match === undefined && sources !== undefined && countSources(database, sources) <= fewDocuments;
  const walked = few ? 'documents INDEXED BY documents_source' : 'documents';
  const tables = match === undefined ? walked : 'words CROSS JOIN documents ON documents.key = words.rowid';
  const conditions = [`${key} >= ?`, `${key} < ?`];
  const parameters: SQLInputValue[] = [from, to];
  if (match !== undefined) {
    conditions.push('words MATCH ?');
    parameters.push(match);
  }
  if (sources !== undefined) {
    // A unary + keeps SQLite from using the index of the column.
    conditions.push(`${few ? '' : '+'}documents.source IN (SELECT source FROM sources WHERE ${sources.sql})`);
    parameters.push(...sources.parameters);
  }
  if (documents !== undefined) {
    conditions.push(documents.sql);
    parameters.push(...documents.parameters);
  }
  return {
    sql: `SELECT documents.key, documents.sequence, documents.id, documents.json FROM ${tables}
      WHERE ${conditions.join(' AND ')} ORDER BY ${key} DESC`,
    parameters,
  };
}

function countSources(database: DatabaseSync, { sql, parameters }: NonNullable<SqliteQuery['sources']>): number {
  const counted = database.prepare(`SELECT total(documents) AS documents FROM sources WHERE ${sql}`);
  return Number(counted.get(...parameters)?.['documents']);
}

/** `matchesField` for SQL: a document is parsed once for all the conditions of a query. */
function fieldMatcher(): (json: SQLInputValue, leaf: SQLInputValue) => number {
  const leaves = new Map<string, Leaf>();
  let text = '';
  let document: unknown;
  return (json, leaf) => {
    if (typeof json !== 'string' || typeof leaf !== 'string') return 0;
    if (json !== text) document = JSON.parse(json);
    text = json;
    const known = leaves.get(leaf) ?? parseLeaf(leaf);
    leaves.set(leaf, known);
    return matchesField(document, known) ? 1 : 0;
  };
}

/** What `toSqlite` wrote. */
function parseLeaf(text: string): Leaf {
  const leaf: Leaf = JSON.parse(text);
  return leaf;
}
