import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../support/server.ts';
import type { Bench, Contestant } from '../frame/bench.ts';
import { countOf, shiplog, untilCounted } from './servers.ts';

/** Lines of one round, and of that which warms up; and the bytes of a line, about. */
const [lines, fewer, lineLength] = [5_000_000, 1_000_000, 235] as const;
const committed = 'shiplog_spool_bytes_total{state="committed"}';

/** What came while nobody takes it, until the last of it is in the spool. */
async function intoSpool(): Promise<Contestant> {
  const server = await shiplog({
    SHIPLOG_LOGS_ELASTICSEARCH_NODES: `http://127.0.0.1:${await freePort()}`,
    // Below half of it, all rounds together: above, it slows senders down.
    SHIPLOG_INGEST_SPOOL_MAX_SIZE: '16GiB',
  });
  return {
    pids: server.pids,
    async round(number) {
      const before = await countOf(server, committed);
      const start = performance.now();
      const { operations, bytes, cpu } = await server.send({ lines: number === 0 ? fewer : lines, wait: 'sent' });
      await untilCounted(server, committed, before + bytes);
      const seconds = (performance.now() - start) / 1000;
      return { value: operations / seconds, operations: operations / 1e6, loadCores: cpu / seconds };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/**
 * As many bytes, appended to a file by 4 MiB at a time, each of which is synced. The files are kept as the spool's are: a
 * virtual machine takes its time for memory that it never used before, and what was removed would leave used memory.
 */
async function ontoDisk(): Promise<Contestant> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-bench-'));
  const write = Buffer.alloc(4 * 1024 * 1024, '<30>1 a line of a log; ');
  return {
    pids: () => [],
    async round(number) {
      const file = openSync(join(folder, String(number)), 'w');
      const count = number === 0 ? fewer : lines;
      const start = performance.now();
      let bytes = 0;
      for (; bytes < count * lineLength; bytes += write.length) {
        writeSync(file, write);
        fdatasyncSync(file);
      }
      const seconds = (performance.now() - start) / 1000;
      closeSync(file);
      return { value: bytes / lineLength / seconds, operations: count / 1e6 };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** A burst, beside what the disk takes. */
export const burst: Bench = {
  name: 'burst',
  title: 'a burst of five million lines into the spool',
  unit: 'lines/s',
  better: 'more',
  operation: 'million lines',
  rounds: 3,
  goals: [{ least: 1_500_000 }, { than: 'synced writes', ratio: 0.7 }],
  contestants: new Map([
    ['shiplog', intoSpool],
    ['synced writes', ontoDisk],
  ]),
};
