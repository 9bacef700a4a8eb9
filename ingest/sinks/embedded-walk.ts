import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { Query } from '../query/ast.ts';
import { fieldFunction, toSqlite, type SqliteQuery } from '../query/to-sqlite.ts';
import { matchesField, type Leaf } from '../query/values.ts';
import { commonReader } from './embedded-common.ts';
import { dayFiles, firstKey, keyShift, openForReading, timeOf } from './embedded-schema.ts';

/** What a walk through the documents is asked for. Times in ms since 1970. */
export interface WalkTask {
  readonly directory: string;
  readonly query?: Query;
  readonly since?: number;
  readonly until?: number;
  /** It should have ended by then. */
  readonly deadline: number;
}

/** Keys from the first on, and below the second. */
export type KeyRange = readonly [from: bigint, to: bigint];

/** A file that may hold something. */
export interface Candidate {
  readonly name: string;
  /** The greatest time in it that the walk may see, in ms. */
  readonly greatest: number;
}

/** A walk that was ended at a document of this time (in ms); what is newer was seen. */
export class OutOfTime extends Error {
  override readonly name = 'OutOfTime';
  readonly time: number;

  constructor(time: number) {
    super('it takes too long; ask for less time, or for fewer records');
    this.time = time;
  }
}

/** The files that hold documents of a range, that with the newest first. */
export function candidates(directory: string, [from, to]: KeyRange): Candidate[] {
  return dayFiles(directory)
    .flatMap((name) => {
      using database = openForReading(directory, name);
      // Asked for both in one go, SQLite reads the whole table.
      const statement = database?.prepare(
        'SELECT (SELECT min(key) FROM documents) AS least, (SELECT max(key) FROM documents) AS greatest',
      );
      statement?.setReadBigInts(true);
      const { least, greatest } = statement?.get() ?? {};
      if (typeof least !== 'bigint' || typeof greatest !== 'bigint' || least >= to || greatest < from) return [];
      return [{ name, greatest: timeOf(greatest < to ? greatest : to - 1n) }];
    })
    .toSorted((a, b) => b.greatest - a.greatest);
}

/** The keys of a time. */
export function keyRange(since = 0, until = Infinity): KeyRange {
  return [firstKey(Math.ceil(since)), firstKey(Math.ceil(until))];
}

/** Where documents are looked for in one file: the middle of a statement, from FROM to the end of WHERE. */
export interface Walk {
  readonly sql: string;
  readonly parameters: readonly SQLInputValue[];
  /** The column with the key in whose order it goes, for ORDER BY. */
  readonly key: string;
}

/** Documents of so few sources are gathered by their source; of more, picked while walking through time. */
const fewDocuments = 20_000;

const clockFunction = 'shiplog_clock';
/** So many documents are looked at between two looks at the clock. */
const documentsOfATurn = 1024;

/**
 * Prepares a database for a query. SQLite has no way to be interrupted from here, but a function that throws ends it:
 * one sees the time of each document that is looked at, and throws `OutOfTime` after the deadline, where that may be.
 */
export function prepareWalk(
  database: DatabaseSync,
  query: Query | undefined,
  [from, to]: KeyRange,
  deadline: number,
  mayEndAt: (time: number) => boolean = () => true,
): Walk {
  const { match, sources, documents }: SqliteQuery = query === undefined ? {} : toSqlite(query);
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
  // Those of few sources come in no order.
  if (!few) {
    conditions.push(`${clockFunction}(${key} >> ${keyShift})`);
    database.function(clockFunction, {}, clock(deadline, mayEndAt));
  }
  if (sources !== undefined) {
    // A unary + keeps SQLite from using the index of the column.
    conditions.push(`${few ? '' : '+'}documents.source IN (SELECT source FROM sources WHERE ${sources.sql})`);
    parameters.push(...sources.parameters);
  }
  if (documents !== undefined) {
    database.function(fieldFunction, { deterministic: true }, fieldMatcher(commonReader(database)));
    conditions.push(documents.sql);
    parameters.push(...documents.parameters);
  }
  return { sql: `FROM ${tables} WHERE ${conditions.join(' AND ')}`, parameters, key };
}

function clock(deadline: number, mayEndAt: (time: number) => boolean): (time: SQLInputValue) => number {
  let seen = 0;
  return (time) => {
    seen += 1;
    if (seen % documentsOfATurn !== 0 || Date.now() <= deadline) return 1;
    if (mayEndAt(Number(time))) throw new OutOfTime(Number(time));
    return 1;
  };
}

function countSources(database: DatabaseSync, { sql, parameters }: NonNullable<SqliteQuery['sources']>): number {
  const counted = database.prepare(`SELECT total(documents) AS documents FROM sources WHERE ${sql}`);
  return Number(counted.get(...parameters)?.['documents']);
}

/** `matchesField` for SQL: a document is parsed once for all the conditions of a query. */
function fieldMatcher(whole: (json: string) => string): (json: SQLInputValue, leaf: SQLInputValue) => number {
  const leaves = new Map<string, Leaf>();
  let text = '';
  let document: unknown;
  return (json, leaf) => {
    if (typeof json !== 'string' || typeof leaf !== 'string') return 0;
    if (json !== text) document = JSON.parse(whole(json));
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
