import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import { startElasticsearch } from './elasticsearch.ts';
import { openGate } from './gate.ts';

/** A log store that can be away for a while. */
export interface LogStore extends AsyncDisposable {
  /** shiplog's, for one test. */
  settings(): Record<string, string>;
  /** From here on it takes nothing; at least one record is in it. `data` is shiplog's folder. */
  leave(data: string): Promise<void>;
  comeBack(): void;
  /** What it has is found. */
  refresh(): Promise<void>;
}

/** Opens the store of a name. */
export function openLogStore(name: 'embedded' | 'elasticsearch'): Promise<LogStore> {
  return name === 'embedded' ? openEmbeddedStore() : openElasticsearchStore();
}

/** The embedded store is away while another holds the lock of its files. */
async function openEmbeddedStore(): Promise<LogStore> {
  let locks: DatabaseSync[] = [];
  const comeBack = (): void => {
    for (const lock of locks) lock.close();
    locks = [];
  };
  return {
    settings: () => ({ SHIPLOG_LOGS_SINK: 'embedded' }),
    async leave(data) {
      const files = async (): Promise<string[]> =>
        (await readdir(join(data, 'logs'))).filter((name) => name.endsWith('.db'));
      await expect.poll(files, { timeout: 60_000 }).not.toEqual([]);
      for (const name of await files()) {
        const lock = new DatabaseSync(join(data, 'logs', name), { timeout: 30_000 });
        lock.exec('BEGIN IMMEDIATE');
        locks.push(lock);
      }
    },
    comeBack,
    refresh: async () => undefined,
    [Symbol.asyncDispose]: async () => comeBack(),
  };
}

/** Elasticsearch is away while the way to it is shut. */
async function openElasticsearchStore(): Promise<LogStore> {
  await using stack = new AsyncDisposableStack();
  const elasticsearch = stack.use(await startElasticsearch());
  const gate = stack.use(await openGate(elasticsearch.url));
  let tests = 0;
  const parts = stack.move();
  return {
    settings() {
      tests += 1;
      return {
        SHIPLOG_LOGS_SINK: 'elasticsearch',
        SHIPLOG_LOGS_ELASTICSEARCH_NODES: gate.url,
        SHIPLOG_LOGS_ELASTICSEARCH_DATASET: `run${tests}`,
      };
    },
    leave: async () => gate.shut(),
    comeBack: () => gate.open(),
    async refresh() {
      await fetch(`${elasticsearch.url}/logs-*/_refresh`, { method: 'POST' });
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
