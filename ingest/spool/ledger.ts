import { DatabaseSync } from 'node:sqlite';

/**
 * What became of all that came in. Bytes are payload: committed = read + unread + dropped + quarantined. Records:
 * read = indexed + failure store + dead-lettered + dropped + in flight. Unread and in flight are what is left.
 */
export interface Ledger {
  committedBytes: number;
  readBytes: number;
  droppedBytes: number;
  /** Of what was damaged, all bytes count, for nobody knows which were payload. */
  quarantinedBytes: number;
  readRecords: number;
  /** Those that the sink had before count too. */
  indexedRecords: number;
  failureStoreRecords: number;
  deadLetteredRecords: number;
  droppedRecords: number;
}

export function emptyLedger(): Ledger {
  return {
    committedBytes: 0,
    readBytes: 0,
    droppedBytes: 0,
    quarantinedBytes: 0,
    readRecords: 0,
    indexedRecords: 0,
    failureStoreRecords: 0,
    deadLetteredRecords: 0,
    droppedRecords: 0,
  };
}

/** The names in a ledger. */
export const ledgerKeys = [
  'committedBytes',
  'readBytes',
  'droppedBytes',
  'quarantinedBytes',
  'readRecords',
  'indexedRecords',
  'failureStoreRecords',
  'deadLetteredRecords',
  'droppedRecords',
] as const satisfies readonly (keyof Ledger)[];

/** Adds one ledger to another. */
export function addTo(sum: Ledger, more: Readonly<Partial<Ledger>>): void {
  for (const key of ledgerKeys) sum[key] += more[key] ?? 0;
}

/** The sum of the ledgers of directories that are gone. */
export interface PastLedger extends Disposable {
  readonly total: Ledger;
  /** The sum with the ledgers of more directories; those that it has already, because they went meanwhile, count once. */
  totalWith(directories: Readonly<Record<string, Ledger>>): Ledger;
  /** Whether a directory's ledger is in the total. */
  has(directory: string): boolean;
  /** Adds a directory's ledger, durably and once: a second time does nothing. */
  add(directory: string, ledger: Ledger): void;
}

/** Keeps the sum in a SQLite file, which several processes may share. */
export function openPastLedger(file: string): PastLedger {
  const database = new DatabaseSync(file, { timeout: 10_000 });
  database.exec('PRAGMA synchronous = FULL');
  database.exec(
    'CREATE TABLE IF NOT EXISTS total (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID',
  );
  database.exec('CREATE TABLE IF NOT EXISTS counted (directory TEXT PRIMARY KEY) STRICT, WITHOUT ROWID');
  const remember = database.prepare('INSERT OR IGNORE INTO counted VALUES (?)');
  const increase = database.prepare(
    'INSERT INTO total VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value',
  );
  const find = database.prepare('SELECT 1 FROM counted WHERE directory = ?');
  const select = database.prepare('SELECT name, value FROM total');
  const has = (directory: string): boolean => find.get(directory) !== undefined;
  const sum = (): Ledger => {
    const found = new Map(select.all().map(({ name, value }) => [name, Number(value)]));
    const total = emptyLedger();
    for (const key of ledgerKeys) total[key] = found.get(key) ?? 0;
    return total;
  };
  return {
    get total() {
      return sum();
    },
    totalWith(directories) {
      // One moment of the file, whoever adds to it.
      database.exec('BEGIN');
      try {
        const total = sum();
        for (const [name, ledger] of Object.entries(directories)) if (!has(name)) addTo(total, ledger);
        return total;
      } finally {
        database.exec('COMMIT');
      }
    },
    has,
    add(directory, ledger) {
      database.exec('BEGIN IMMEDIATE');
      try {
        if (remember.run(directory).changes > 0) for (const key of ledgerKeys) increase.run(key, ledger[key]);
        database.exec('COMMIT');
      } catch (error) {
        database.exec('ROLLBACK');
        throw error;
      }
    },
    [Symbol.dispose]: () => database.close(),
  };
}
