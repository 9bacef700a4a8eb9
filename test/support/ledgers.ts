import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Server } from './server.ts';

/** Both ledgers, as `/metrics` shows them: state or outcome → bytes or records. */
export interface Ledgers {
  readonly bytes: Readonly<Record<string, number>>;
  readonly records: Readonly<Record<string, number>>;
}

async function readLedgers(server: Server): Promise<Ledgers> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const read = (name: string, label: string): Record<string, number> => {
    const found = text.matchAll(new RegExp(`^${name}\\{${label}="(\\w+)"\\} (\\d+)$`, 'gm'));
    return Object.fromEntries([...found].map(([, key, value]) => [key, Number(value)]));
  };
  return { bytes: read('shiplog_spool_bytes_total', 'state'), records: read('shiplog_log_records_total', 'outcome') };
}

/** Waits until all that was committed is delivered, and answers the ledgers, which must agree. */
export async function settledLedgers(server: Server, ms: number): Promise<Ledgers> {
  let ledgers = await readLedgers(server);
  for (const end = performance.now() + ms; ledgers.bytes['unread'] !== 0 && performance.now() < end;) {
    await sleep(50);
    ledgers = await readLedgers(server);
  }
  const { committed, read, unread, dropped, quarantined } = ledgers.bytes;
  expect({ unread, committed }).toEqual({ unread: 0, committed: sum(read, dropped, quarantined) });
  const { indexed, failure_store, dead_lettered, in_flight } = ledgers.records;
  expect(ledgers.records['read']).toBe(
    sum(indexed, failure_store, dead_lettered, ledgers.records['dropped'], in_flight),
  );
  return ledgers;
}

function sum(...numbers: (number | undefined)[]): number {
  return numbers.reduce<number>((total, number) => total + (number ?? Number.NaN), 0);
}
