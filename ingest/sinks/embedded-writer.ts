import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { indexText } from '../query/words.ts';
import {
  dayFiles,
  dayLength,
  fileOf,
  firstKey,
  openForReading,
  openForWriting,
  pieceOf,
  syncDirectory,
  timeOf,
} from './embedded-schema.ts';
import { CommonWriter } from './embedded-common.ts';
import { type Row, rowsOf } from './embedded-row.ts';
import { serve } from './embedded-worker.ts';
import type { Outcome } from './sink.ts';

/** What the writer is asked. `deliver`: the bytes of a bulk; a file of `pieceSize` bytes is added to no more. `sweep`: `before` in ms since 1970, `maxSize` in bytes; it answers what it deleted. */
export type WriterRequest =
  | { readonly kind: 'deliver'; readonly directory: string; readonly bulk: Uint8Array; readonly pieceSize: number }
  | { readonly kind: 'sweep'; readonly directory: string; readonly before?: number; readonly maxSize?: number }
  | { readonly kind: 'close' };

/** A file that retention or the bound on size ended. */
export interface SweptFile {
  readonly file: string;
  readonly bytes: number;
  readonly reason: 'retention' | 'max_size';
}

/** Day files that stay open. */
const openFiles = 4;

const open = new Map<string, DayFile>();

serve(answer);

function answer(request: WriterRequest): Outcome[] | SweptFile[] {
  switch (request.kind) {
    case 'deliver':
      return deliver(request);
    case 'sweep':
      return sweep(request);
    case 'close':
      for (const file of open.values()) file.close();
      open.clear();
      return [];
  }
}

function deliver({ directory, bulk, pieceSize }: Extract<WriterRequest, { kind: 'deliver' }>): Outcome[] {
  const rows = rowsOf(bulk);
  const outcomes = rows.map((row): Outcome => (row === undefined ? notJson : { status: 'duplicate' }));
  const entries = rows.flatMap((row, index) => (row === undefined ? [] : [{ row, index }]));
  const days = Map.groupBy(entries, ({ row }) => Math.floor(row.createdAt / (dayLength * 1000)));
  for (const [day, entries] of days) {
    const { name, earlier } = place(directory, day, pieceSize);
    const unknown = earlier.reduce((left, piece) => withoutThoseOf(directory, piece, left), entries);
    for (const [index, outcome] of insert(directory, name, unknown)) outcomes[index] = outcome;
  }
  return outcomes;
}

const notJson: Outcome = { status: 'rejected', reason: 'the document is not JSON' };

interface Entry {
  readonly index: number;
  readonly row: Row;
}

/** Where documents of a day go, and where some may be already. */
function place(directory: string, day: number, pieceSize: number): { name: string; earlier: readonly string[] } {
  const first = fileOf(day, 1);
  const pieces = dayFiles(directory).filter((name) => name.slice(0, 10) === first.slice(0, 10));
  const last = pieces.at(-1);
  if (last === undefined) return { name: first, earlier: [] };
  if (dayFile(directory, last).size < pieceSize) return { name: last, earlier: pieces.slice(0, -1) };
  // Its log is written back and removed.
  forget(last);
  return { name: fileOf(day, (pieceOf(last) ?? 1) + 1), earlier: pieces };
}

/**
 * What an earlier piece does not have. An id comes again only from whoever read the same spool after the one that delivered
 * it, so nobody adds it meanwhile.
 */
function withoutThoseOf(directory: string, piece: string, entries: Entry[]): Entry[] {
  using database = openForReading(directory, piece);
  const greatest = database?.prepare('SELECT max(id) AS id FROM documents').get()?.['id'];
  if (database === undefined || typeof greatest !== 'string') return entries;
  const known = database.prepare('SELECT 1 FROM documents WHERE id = ?');
  // Most are new, and ids are in the order of time.
  return entries.filter(({ row }) => row.id > greatest || known.get(row.id) === undefined);
}

/** Outcomes by index; what is not named was there. A file that another process deleted is made again, once. */
function insert(directory: string, name: string, entries: readonly Entry[]): ReadonlyMap<number, Outcome> {
  for (const last of [false, true]) {
    const file = dayFile(directory, name);
    try {
      const stored = file.insert(entries);
      if (stored !== undefined) return stored;
    } catch (error) {
      forget(name);
      throw error;
    }
    forget(name);
    if (last) throw new Error(`${name} was deleted while it was written`);
  }
  return new Map();
}

function dayFile(directory: string, name: string): DayFile {
  const file = open.get(name) ?? new DayFile(directory, name);
  open.delete(name);
  open.set(name, file);
  const [oldest] = open.keys();
  if (open.size > openFiles && oldest !== undefined) forget(oldest);
  return file;
}

function forget(name: string): void {
  open.get(name)?.close();
  open.delete(name);
}

class DayFile {
  readonly #path: string;
  readonly #inode: number;
  readonly #database: DatabaseSync;
  readonly #sources = new Map<string, number>();
  readonly #insertDocument: StatementSync;
  readonly #insertWords: StatementSync;
  readonly #insertSource: StatementSync;
  readonly #countSource: StatementSync;
  readonly #lastKey: StatementSync;
  readonly #insertArrivals: StatementSync;
  readonly #size: StatementSync;
  readonly #common: CommonWriter;

  constructor(directory: string, name: string) {
    this.#path = join(directory, name);
    const database = openForWriting(directory, name);
    this.#database = database;
    this.#inode = statSync(this.#path).ino;
    this.#insertDocument = database.prepare(
      'INSERT INTO documents (key, id, sequence, source, json) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
    );
    this.#insertWords = database.prepare('INSERT INTO words (rowid, message) VALUES (?, ?)');
    this.#insertSource = database.prepare(
      'INSERT INTO sources (facts, documents) VALUES (?, 0) ON CONFLICT DO UPDATE SET facts = facts RETURNING source',
    );
    this.#countSource = database.prepare('UPDATE sources SET documents = documents + ? WHERE source = ?');
    this.#lastKey = database.prepare('SELECT max(key) AS key FROM documents WHERE key < ?');
    this.#lastKey.setReadBigInts(true);
    this.#size = database.prepare('SELECT page_count * page_size AS size FROM pragma_page_count, pragma_page_size');
    this.#common = new CommonWriter(database);
    this.#insertArrivals = database.prepare('INSERT INTO arrivals (at, first, last) VALUES (?, ?, ?)');
  }

  /** Stores in one transaction. `undefined`: the file is gone, and nothing was stored. */
  insert(entries: readonly Entry[]): ReadonlyMap<number, Outcome> | undefined {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      if (statSync(this.#path, { throwIfNoEntry: false })?.ino !== this.#inode) {
        this.#database.exec('ROLLBACK');
        return undefined;
      }
      const stored = this.#insertAll(entries);
      this.#database.exec('COMMIT');
      return stored;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  #insertAll(entries: readonly Entry[]): ReadonlyMap<number, Outcome> {
    const outcomes = new Map<number, Outcome>();
    const counts = new Map<number, number>();
    const now = Date.now();
    /** Keys from first to last. */
    let run: [first: bigint, last: bigint] | undefined;
    const endRun = (): void => void (run && this.#insertArrivals.run(now, ...run));
    let key = -1n;
    // FTS5 is fast where its rows come in order.
    for (const { index, row } of entries.toSorted(byOrder)) {
      key = this.#freeKey(row.timestamp / 1000, key);
      const source = this.#sourceOf(row.facts);
      if (this.#insertDocument.run(key, row.id, row.sequence, source, this.#common.shorten(row)).changes === 0) {
        key -= 1n;
        continue;
      }
      this.#insertWords.run(key, indexText(row.message));
      counts.set(source, (counts.get(source) ?? 0) + 1);
      outcomes.set(index, { status: 'indexed' });
      if (run !== undefined && run[1] + 1n === key) {
        run[1] = key;
        continue;
      }
      endRun();
      run = [key, key];
    }
    endRun();
    for (const [source, count] of counts) this.#countSource.run(count, source);
    return outcomes;
  }

  /** The first free key of a millisecond, or after it where it is full; `last` is the key given before. */
  #freeKey(time: number, last: bigint): bigint {
    const first = firstKey(time);
    if (last >= first && timeOf(last + 1n) === timeOf(last)) return last + 1n;
    for (let at = first; ; at += firstKey(1)) {
      const end = at + firstKey(1);
      const taken = this.#lastKey.get(end)?.['key'];
      if (typeof taken !== 'bigint' || taken < at) return at;
      if (taken + 1n < end) return taken + 1n;
    }
  }

  #sourceOf(facts: string): number {
    const known = this.#sources.get(facts);
    if (known !== undefined) return known;
    const source = Number(this.#insertSource.get(facts)?.['source']);
    if (this.#sources.size >= 100_000) this.#sources.clear();
    this.#sources.set(facts, source);
    return source;
  }

  /** Bytes, with those that are only in its log so far. */
  get size(): number {
    return Number(this.#size.get()?.['size']);
  }

  close(): void {
    this.#database.close();
  }
}

function byOrder(a: Entry, b: Entry): number {
  const time = Math.floor(a.row.timestamp / 1000) - Math.floor(b.row.timestamp / 1000);
  return time || a.row.sequence - b.row.sequence || (a.row.id < b.row.id ? -1 : 1);
}

/** Deletes the files of days that ended before `before`, then the oldest until the rest fits; never the newest. */
function sweep({ directory, before, maxSize }: Extract<WriterRequest, { kind: 'sweep' }>): SweptFile[] {
  const swept: SweptFile[] = [];
  const kept = dayFiles(directory).map((file) => ({ file, bytes: sizeOf(directory, file) }));
  let total = kept.reduce((sum, { bytes }) => sum + bytes, 0);
  kept.forEach(({ file, bytes }, index) => {
    const expired = before !== undefined && Date.parse(file.slice(0, 10)) + dayLength <= before;
    const tooMuch = maxSize !== undefined && total > maxSize && index < kept.length - 1;
    if (!expired && !tooMuch) return;
    remove(directory, file);
    total -= bytes;
    swept.push({ file, bytes, reason: expired ? 'retention' : 'max_size' });
  });
  return swept;
}

/** Under the file's own lock, so that no other process is amid a commit to it; those look again before each commit. */
function remove(directory: string, name: string): void {
  forget(name);
  const database = openForWriting(directory, name);
  try {
    database.exec('BEGIN IMMEDIATE');
    for (const suffix of suffixes) rmSync(join(directory, name + suffix), { force: true });
  } finally {
    database.close();
  }
  syncDirectory(directory);
}

const suffixes = ['', '-wal', '-shm'] as const;

function sizeOf(directory: string, name: string): number {
  return suffixes.reduce(
    (sum, suffix) => sum + (statSync(join(directory, name + suffix), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}
