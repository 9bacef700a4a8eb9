import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { bucketCount, type Histogram, type HistogramRequest, mostFrequent } from '../query/histogram.ts';
import { toSqlite } from '../query/to-sqlite.ts';
import { keyShift, openForReading } from './embedded-schema.ts';
import { candidates, keyRange, type KeyRange, OutOfTime, prepareWalk, type WalkTask } from './embedded-walk.ts';

/** A count on its way to a thread. */
export type HistogramTask = WalkTask & HistogramRequest;

/** Counts, by bucket, and by value and bucket. */
class Counts {
  readonly #length: number;
  readonly all: number[];
  readonly byValue = new Map<string, number[]>();

  constructor(length: number) {
    this.#length = length;
    this.all = this.#zeros();
  }

  add(bucket: number, count: number, values: readonly string[]): void {
    this.all[bucket] = (this.all[bucket] ?? 0) + count;
    for (const value of new Set(values)) {
      const counts = this.byValue.get(value) ?? this.#zeros();
      this.byValue.set(value, counts);
      counts[bucket] = (counts[bucket] ?? 0) + count;
    }
  }

  #zeros(): number[] {
    return Array.from({ length: this.#length }, () => 0);
  }
}

/** Counts in each file. @throws {OutOfTime} */
export function histogram(task: HistogramTask): Histogram {
  const { directory, since, until } = task;
  const counts = new Counts(bucketCount(task));
  const range = keyRange(since, until);
  for (const { name } of candidates(directory, range)) {
    using database = openForReading(directory, name);
    if (database !== undefined) countFile(database, task, range, counts);
  }
  return { counts: counts.all, values: mostFrequent(counts.byValue) };
}

function countFile(database: DatabaseSync, task: HistogramTask, range: KeyRange, counts: Counts): void {
  const { match, sources, documents } = task.query === undefined ? {} : toSqlite(task.query);
  const found = database.prepare(`SELECT source, facts FROM sources WHERE ${sources?.sql ?? 'TRUE'}`);
  const values = new Map<number, readonly string[]>();
  for (const { source, facts } of found.iterate(...(sources?.parameters ?? []))) {
    values.set(Number(source), task.field === undefined ? [] : valuesOf(String(facts), task.field));
  }
  const bucket = `((documents.key >> ${keyShift}) - ${task.since}) / ${task.interval}`;
  const rows =
    match === undefined && documents === undefined
      ? bySource(database, bucket, values.keys(), range, task.deadline)
      : byDocument(database, bucket, task, range);
  for (const { bucket, source, count } of rows) counts.add(bucket, count, values.get(source) ?? []);
}

interface Row {
  readonly bucket: number;
  readonly source: number;
  readonly count: number;
}

/** Where whole sources are counted their index has all that is needed. */
function* bySource(
  database: DatabaseSync,
  bucket: string,
  sources: Iterable<number>,
  [from, to]: KeyRange,
  deadline: number,
): Generator<Row> {
  const counting: StatementSync = database.prepare(
    `SELECT ${bucket} AS bucket, count(*) AS count FROM documents INDEXED BY documents_source
      WHERE source = ? AND key >= ? AND key < ? GROUP BY 1`,
  );
  for (const source of sources) {
    for (const row of counting.iterate(source, from, to)) {
      yield { source, bucket: Number(row['bucket']), count: Number(row['count']) };
    }
    if (Date.now() > deadline) throw new OutOfTime(0);
  }
}

function* byDocument(database: DatabaseSync, bucket: string, task: HistogramTask, range: KeyRange): Generator<Row> {
  const walk = prepareWalk(database, task.query, range, task.deadline);
  const counting = database.prepare(
    `SELECT ${bucket} AS bucket, documents.source, count(*) AS count ${walk.sql} GROUP BY 1, 2`,
  );
  for (const row of counting.iterate(...walk.parameters)) {
    yield { bucket: Number(row['bucket']), source: Number(row['source']), count: Number(row['count']) };
  }
}

/** Values of a field in the text of `sources.facts`. */
function valuesOf(text: string, field: string): readonly string[] {
  const facts: Readonly<Record<string, readonly string[]>> = JSON.parse(text);
  return facts[field] ?? [];
}
