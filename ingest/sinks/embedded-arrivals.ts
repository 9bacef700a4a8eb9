import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { type Arrival, type ArrivalPage, type ArrivalRequest, largestArrivals } from '../query/arrivals.ts';
import { compare, type Position } from '../query/cursor.ts';
import { pageLength } from '../query/search.ts';
import { matches } from '../query/values.ts';
import { commonReader } from './embedded-common.ts';
import { dayFiles, openForReading, timeOf, versionOf } from './embedded-schema.ts';

/** A question for what came, on its way to a thread. `deadline` in ms since 1970. */
export interface ArrivalTask extends ArrivalRequest {
  readonly directory: string;
  readonly deadline: number;
}

interface Row extends Position, Arrival {
  /** When it came, in ms since 1970. */
  readonly at: number;
}

/** Looks into each file that was written to. Where that takes too long, what came first is left out. */
export function arrivals(task: ArrivalTask): ArrivalPage {
  const { directory, since, limit } = task;
  const found: Row[] = [];
  let cut = false;
  for (const name of dayFiles(directory)) {
    if (lastWrite(directory, name) < since - clockGrain) continue;
    using database = openForReading(directory, name);
    if (database === undefined || versionOf(database) < 2) continue;
    cut = readFile(database, task, found) || cut;
  }
  const last = found.toSorted((a, b) => b.at - a.at || compare(a, b));
  const length = pageLength(last, limit, largestArrivals);
  const records = last.slice(0, length).toSorted((a, b) => compare(b, a));
  return { records: records.map(({ id, json }) => ({ id, json })), cut: cut || length < last.length };
}

/** How coarse the times of files may be, in ms. */
const clockGrain = 2000;

/** When a file, or its log, was written to last, in ms since 1970. */
function lastWrite(directory: string, name: string): number {
  const times = ['', '-wal'].map(
    (suffix) => statSync(join(directory, name + suffix), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return Math.max(...times);
}

/** Adds what came to one file, the last first. True: not all of it. */
function readFile(database: DatabaseSync, { query, since, limit, deadline }: ArrivalTask, found: Row[]): boolean {
  const statement = database.prepare(
    `SELECT at, key, sequence, id, json FROM arrivals CROSS JOIN documents ON key BETWEEN first AND last
      WHERE at >= ? ORDER BY at DESC, key DESC`,
  );
  statement.setReadBigInts(true);
  const whole = commonReader(database);
  let [count, characters] = [0, 0];
  for (const { at, key, sequence, id, json: kept } of statement.iterate(BigInt(Math.ceil(since)))) {
    if (typeof key !== 'bigint' || typeof id !== 'string' || typeof kept !== 'string') throw new Error('a row is odd');
    if (count > limit || characters > largestArrivals || Date.now() > deadline) return true;
    const json = whole(kept);
    if (query !== undefined && !matches(query, JSON.parse(json))) continue;
    found.push({ at: Number(at), time: timeOf(key), sequence: Number(sequence), id, json });
    count += 1;
    characters += json.length;
  }
  return false;
}
