import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Bench, Contestant } from '../frame/bench.ts';
import { countOf, type Sending, type Shiplog, shiplog, untilCounted } from './servers.ts';

/** Lines of one round. */
const lines = 250_000;
/** Rows of one transaction, where SQLite is bare. */
const rowsOfTransaction = 10_000;
const indexed = 'shiplog_log_records_total{outcome="indexed"}';

/** A shiplog that stores for itself, as it does by default; but as much as comes, and as fast. */
export function storing(): Promise<Shiplog> {
  return shiplog({
    SHIPLOG_LOGS_SINK: 'embedded',
    SHIPLOG_LOGS_EMBEDDED_MAX_SIZE: '40GiB',
    SHIPLOG_INGEST_SPOOL_MAX_SIZE: '16GiB',
  });
}

/** Has lines sent, and waits until all can be found. @returns the cores that the load used */
export async function store(server: Shiplog, sending: Sending): Promise<number> {
  const before = await countOf(server, indexed);
  const start = performance.now();
  const { operations, cpu } = await server.send({ ...sending, wait: 'sent' });
  await untilCounted(server, indexed, before + operations);
  return (cpu / (performance.now() - start)) * 1000;
}

async function intoStore(): Promise<Contestant> {
  const server = await storing();
  return {
    pids: server.pids,
    async round() {
      const start = performance.now();
      const loadCores = await store(server, { lines });
      return { value: (lines / (performance.now() - start)) * 1000, operations: lines / 1e6, loadCores };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

interface Row {
  readonly id: string;
  readonly json: string;
  readonly message: string;
}

/** What shiplog makes of the lines, which is all that a bare SQLite must store. */
async function rowsOfShiplog(): Promise<Row[]> {
  await using server = await storing();
  await store(server, { lines });
  const folder = join(server.folder, 'data/logs');
  const rows: Row[] = [];
  for (const name of (await readdir(folder)).filter((name) => name.endsWith('.db'))) {
    using database = new DatabaseSync(join(folder, name), { readOnly: true });
    for (const { id, json } of database.prepare('SELECT id, json FROM documents').iterate()) {
      const { message }: { readonly message: string } = JSON.parse(String(json));
      rows.push({ id: String(id), json: String(json), message });
    }
  }
  return rows;
}

/** The same documents into a table, and their messages into an index of words; each transaction is synced, as shiplog's are. */
async function intoSqlite(): Promise<Contestant> {
  const rows = await rowsOfShiplog();
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-bench-'));
  const database = new DatabaseSync(join(folder, 'bare.db'));
  database.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE documents (key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, json TEXT NOT NULL) STRICT;
    CREATE VIRTUAL TABLE words USING fts5 (message, content = '');
  `);
  const insert = database.prepare('INSERT INTO documents VALUES (?, ?, ?)');
  const insertWords = database.prepare('INSERT INTO words (rowid, message) VALUES (?, ?)');
  let key = 0;
  return {
    pids: () => [],
    async round(number) {
      const start = performance.now();
      for (const [index, { id, json, message }] of rows.entries()) {
        if (index % rowsOfTransaction === 0) database.exec(index === 0 ? 'BEGIN' : 'COMMIT; BEGIN');
        insert.run((key += 1), `${id}${number}`, json);
        insertWords.run(key, message);
      }
      database.exec('COMMIT');
      return { value: (rows.length / (performance.now() - start)) * 1000, operations: rows.length / 1e6 };
    },
    async [Symbol.asyncDispose]() {
      database.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** The embedded store, beside SQLite alone. */
export const embedded: Bench = {
  name: 'embedded',
  title: 'syslog lines over TCP into the embedded store, until they are found',
  unit: 'lines/s',
  better: 'more',
  operation: 'million lines',
  rounds: 3,
  goals: [],
  contestants: new Map([
    ['shiplog', intoStore],
    ['bare SQLite', intoSqlite],
  ]),
};
