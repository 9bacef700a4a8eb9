import { compare, type Position } from '../query/cursor.ts';
import { largestPage, pageLength } from '../query/search.ts';
import { commonReader } from './embedded-common.ts';
import { openForReading, timeOf } from './embedded-schema.ts';
import { candidates, keyRange, type KeyRange, OutOfTime, prepareWalk, type WalkTask } from './embedded-walk.ts';

/** A search on its way to a thread. */
export interface SearchTask extends WalkTask {
  readonly limit: number;
  readonly before?: Position;
}

/** What a search found; `next` is the last place that it looked at, absent at the end. */
export interface Found {
  readonly records: readonly string[];
  readonly next?: Position;
}

interface Hit extends Position {
  readonly json: string;
}

/** How long, in ms, each file may take after the deadline that must be looked into for a page to get on. */
const extraTime = 1000;

/** Goes through the files from the newest `@timestamp` on, until no other file can hold a newer record than those found. */
export function search(task: SearchTask): Found {
  const { since, until = Infinity, before, limit, directory } = task;
  const [from, to] = keyRange(since, Math.min(until, before === undefined ? Infinity : before.time + 1));
  const files = candidates(directory, [from, to]);
  let hits: Hit[] = [];
  /** What is of this ms or newer was looked at in all files; 0: and so was everything else. */
  let floor = 0;
  let { deadline } = task;
  for (const [index, { name }] of files.entries()) {
    const [first] = keyRange(floor);
    const found = searchFile({ ...task, deadline }, name, [from > first ? from : first, to]);
    floor = Math.max(floor, found.floor);
    hits = firstOf([...hits, ...found.hits], floor, limit);
    const next = files[index + 1];
    if (next === undefined || next.greatest < floor) break;
    const last = hits[pageLength(hits, limit)];
    if (last !== undefined && last.time > next.greatest) break;
    if (Date.now() <= task.deadline) continue;
    if (getsOn(next.greatest + 1, before)) {
      floor = next.greatest + 1;
      hits = firstOf(hits, floor, limit);
      break;
    }
    deadline = Date.now() + extraTime;
  }
  const page = hits.slice(0, pageLength(hits, limit));
  const last = page.at(-1);
  const records = page.map(({ json }) => json);
  if (hits.length > page.length && last !== undefined) return { records, next: place(last) };
  return floor === 0 ? { records } : { records, next: placeAt(floor) };
}

/** Whether a page that is certain down to a ms gets on from where the one before ended. */
function getsOn(floor: number, before: Position | undefined): boolean {
  return before === undefined || compare(placeAt(floor), before) > 0;
}

/** After all that is of this ms or newer. */
function placeAt(time: number): Position {
  return { time, sequence: 0, id: '' };
}

function place({ time, sequence, id }: Hit): Position {
  return { time, sequence, id };
}

/** In order what makes a page of what is certain, and one more, which tells whether there is a next page. */
function firstOf(hits: readonly Hit[], floor: number, limit: number): Hit[] {
  const sorted = hits.filter(({ time }) => time >= floor).toSorted(compare);
  return sorted.slice(0, pageLength(sorted, limit) + 1);
}

/** A file's part of `firstOf` all hits; `floor` as in `search`. */
function searchFile(task: SearchTask, name: string, range: KeyRange): { hits: Hit[]; floor: number } {
  const { directory, query, deadline, before, limit } = task;
  using database = openForReading(directory, name);
  if (database === undefined) return { hits: [], floor: 0 };
  const walk = prepareWalk(database, query, range, deadline, (time) => getsOn(time + 1, before));
  const prepared = database.prepare(
    `SELECT documents.key, documents.sequence, documents.id, documents.json ${walk.sql} ORDER BY ${walk.key} DESC`,
  );
  prepared.setReadBigInts(true);
  const whole = commonReader(database);
  const hits: Hit[] = [];
  let characters = 0;
  let group: Hit[] = [];
  let ofGroup = 0;
  let floor = 0;
  try {
    for (const row of prepared.iterate(...walk.parameters)) {
      const hit = toHit(row, whole);
      if (hit.time !== group[0]?.time) {
        hits.push(...group.toSorted(compare));
        characters += ofGroup;
        [group, ofGroup] = [[], 0];
        if (hits.length > limit || (hits.length > 1 && characters > largestPage)) break;
      }
      if (before !== undefined && compare(hit, before) <= 0) continue;
      group.push(hit);
      ofGroup += hit.json.length;
      // Of one millisecond no more than a page is kept.
      if (group.length > 2 * limit + 1000 || ofGroup > 2 * largestPage) {
        group = firstOf(group, 0, limit);
        ofGroup = group.reduce((sum, { json }) => sum + json.length, 0);
      }
    }
  } catch (error) {
    if (!(error instanceof OutOfTime)) throw error;
    floor = error.time + 1;
  }
  return { hits: firstOf([...hits, ...group], floor, limit), floor };
}

function toHit(row: Record<string, unknown>, whole: (json: string) => string): Hit {
  const { key, sequence, id, json } = row;
  if (typeof key !== 'bigint' || typeof id !== 'string' || typeof json !== 'string') throw new Error('a row is odd');
  return { time: timeOf(key), sequence: Number(sequence), id, json: whole(json) };
}
