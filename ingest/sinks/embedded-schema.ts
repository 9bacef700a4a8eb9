import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sourceFields } from '../query/to-sqlite.ts';
import { longestKeyword } from '../query/fields.ts';
import { valuesAt } from '../query/values.ts';

/**
 * The files of a day, chosen by the receipt's time (UTC): `<data>/logs/2026-11-24.db`, and once that has the size of a piece
 * `2026-11-24.2.db`, and so on. Only the last is added to. A retry meets the day of before: before anything is added, it is
 * looked for in all pieces of its day.
 *
 *     documents  key       time order: (`@timestamp` in ms << 21) + a number, so that the newest are read off its end
 *                id        unique: a second delivery is ignored
 *                sequence  `event.sequence`
 *                source    → sources
 *                json      the document; what it has in common with others is in `common` (embedded-common.ts)
 *     sources    facts     what documents have in common (host, container, image, level, …): {"host.name": ["web-1"], …}
 *                documents how many there are
 *     words      FTS5 without content: rowid = key, the words of `message`, cut by `query/words.ts`
 *     common     texts that stand in several documents, by number
 *     arrivals   when documents came: those with the keys from first to last at a ms of the writer's clock
 *
 * The first three are read in the order of the key: a search takes what it needs and stops. Beyond two million documents of
 * one millisecond in a day, the rest count as a millisecond later.
 *
 * WAL, so that a search neither waits for the writer nor delays it; `synchronous=FULL` syncs the log at each commit.
 */
const schema = `
  CREATE TABLE sources (source INTEGER PRIMARY KEY, facts TEXT NOT NULL UNIQUE, documents INTEGER NOT NULL) STRICT;
  CREATE TABLE documents (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, sequence INTEGER NOT NULL, source INTEGER NOT NULL, json TEXT NOT NULL
  ) STRICT;
  CREATE INDEX documents_source ON documents (source);
  CREATE VIRTUAL TABLE words USING fts5 (message, content = '', columnsize = 0, tokenize = 'ascii');
  INSERT INTO words (words, rank) VALUES ('automerge', 16);
`;

/** Beside which a file of version 1 has all the rest. */
const schemaOfArrivals = `
  CREATE TABLE arrivals (at INTEGER, first INTEGER, last INTEGER NOT NULL, PRIMARY KEY (at, first)) STRICT, WITHOUT ROWID;
`;

/** Beside which a file of version 2 has all the rest. */
const schemaOfCommon = `
  CREATE TABLE common (number INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
  PRAGMA user_version = 3;
`;

/** How long a writer waits for another process's, in ms. */
const busyTimeout = 10_000;

/** Bits of a key below its ms. */
export const keyShift = 21;
const keyBits = BigInt(keyShift);
const maxTime = 2 ** 42 - 1;

/** The least key of a millisecond. */
export function firstKey(time: number): bigint {
  return BigInt(Math.min(Math.max(0, Math.floor(time)), maxTime)) << keyBits;
}

/** The millisecond of a key. */
export function timeOf(key: bigint): number {
  return Number(key >> keyBits);
}

/** A day, in ms. */
export const dayLength = 86_400_000;

/** A piece of a day, which is counted from 1970 in UTC; pieces are from 1 on. */
export function fileOf(day: number, piece: number): string {
  return `${new Date(day * dayLength).toISOString().slice(0, 10)}${piece === 1 ? '' : `.${piece}`}.db`;
}

/** Which piece of its day a file is; undefined: it is none. */
export function pieceOf(name: string): number | undefined {
  const [found, piece = '1'] = /^\d{4}-\d\d-\d\d(?:\.([1-9]\d{0,8}))?\.db$/.exec(name) ?? [];
  return found === undefined ? undefined : Number(piece);
}

/** The day files of a directory, oldest first. */
export function dayFiles(directory: string): string[] {
  return readdirSync(directory)
    .flatMap((name) => {
      const piece = pieceOf(name);
      return piece === undefined ? [] : [{ name, day: name.slice(0, 10), piece }];
    })
    .toSorted((a, b) => a.day.localeCompare(b.day) || a.piece - b.piece)
    .map(({ name }) => name);
}

/** Opens a day file to write, and makes it if need be; its name is durable before it returns. */
export function openForWriting(directory: string, name: string): DatabaseSync {
  const database = new DatabaseSync(join(directory, name), { timeout: busyTimeout });
  try {
    database.exec(
      'PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768;',
    );
    database.exec('PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 67108864; BEGIN IMMEDIATE;');
    const version = versionOf(database);
    if (version === 0) database.exec(schema);
    if (version < 2) database.exec(schemaOfArrivals);
    if (version < 3) database.exec(schemaOfCommon);
    database.exec('COMMIT');
    syncDirectory(directory);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Opens a day file to search; `undefined` where it is gone, or not yet made. */
export function openForReading(directory: string, name: string): DatabaseSync | undefined {
  if (!dayFiles(directory).includes(name)) return undefined;
  const database = new DatabaseSync(join(directory, name), { readOnly: true, timeout: busyTimeout });
  if (versionOf(database) !== 0) return database;
  database.close();
  return undefined;
}

/** Makes the names in a directory durable. */
export function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** What a document has in common with others, as the text that `sources.facts` holds. */
export function factsOf(document: unknown): string {
  const facts: Record<string, string[]> = {};
  for (const field of sourceFields) {
    const values = valuesAt(document, field).filter((value) => value.length <= longestKeyword);
    if (values.length > 0) facts[field] = values;
  }
  return JSON.stringify(facts);
}

/** 0: it has no tables yet; 1: it has no `arrivals`; 2: it has no `common`. */
export function versionOf(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
}
