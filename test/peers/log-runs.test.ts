import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { settledLedgers } from '../support/ledgers.ts';
import { search } from '../support/search.ts';
import { freePort, type Server, startServer } from '../support/server.ts';
import { checkStorm, noteCommitted } from '../support/storm.ts';
import { LogSenders, type Target } from './support/log-senders.ts';
import { type LogStore, openLogStore } from './support/log-stores.ts';
import { longTest } from './support/long.ts';
import { mountDisk } from './support/small-disk.ts';

describe.each(['embedded', 'elasticsearch'] as const)('with the store %s', (name) => {
  let store: LogStore;
  beforeAll(async () => {
    store = await openLogStore(name);
  });
  afterAll(() => store[Symbol.asyncDispose]());

  const runs: Readonly<Record<string, (store: LogStore, scale: number) => Promise<void>>> = {
    'killed at random times: what was answered is found once': killed,
    'on a full disk nothing that was answered is lost, and it goes on when there is room': diskFull,
    'a full spool that blocks loses nothing that was answered': blocked,
    'a full spool that drops the oldest loses what it counts': dropping,
    'what four lives could not deliver, the fifth delivers': backlogs,
    'of processes that overlap on one folder one is killed, one stopped: nothing is lost or twice': overlapping,
  };
  const go = (way: (typeof runs)[string], scale: number) => async (): Promise<void> => {
    try {
      await way(store, scale);
    } finally {
      store.comeBack();
    }
  };
  for (const [title, way] of Object.entries(runs)) {
    if (name === 'embedded' || way === backlogs) test(title, go(way, 1));
    longTest(`with the store ${name}, at length: ${title}`, go(way, 10));
  }
});

async function killed(store: LogStore, scale: number): Promise<void> {
  await using target = await startTarget(store.settings());
  await using senders = new LogSenders(target);
  for (let kill = 0; kill < 3 * scale; kill += 1) {
    await senders.more(100);
    await sleep(Math.random() * 300);
    await target.server.kill();
    await noteCommitted(senders.state, target.data);
    await target.server.start();
  }
  await senders.more(100);
  await senders.stop();
  await check(store, target, senders);
}

async function diskFull(store: LogStore, scale: number): Promise<void> {
  await using disk = await mountDisk(64 * scale);
  await using target = await startTarget({ ...store.settings(), SHIPLOG_DATA: disk.path });
  await using senders = new LogSenders(target, 1000);
  for (let round = 0; round < 2 * scale; round += 1) {
    await senders.more(200);
    const refused = new Set(senders.refused);
    const filling = disk.fill();
    await senders.moreRefused(50);
    expect((await fetch(`${target.server.url}/metrics`)).status).toBe(200);
    if (round % 2 === 1) {
      await target.server.kill();
      await noteCommitted(senders.state, disk.path);
      // Of what was refused right before the end, nobody knows what of it had reached the disk.
      for (const name of senders.refused.difference(refused)) senders.state.unanswered.add(name);
    }
    await filling.free();
    if (round % 2 === 1) await target.server.start();
  }
  await senders.more(200);
  await senders.stop();
  await check(store, target, senders);
}

async function blocked(store: LogStore, scale: number): Promise<void> {
  await using target = await startTarget({ ...store.settings(), SHIPLOG_INGEST_SPOOL_MAX_SIZE: '4MiB' });
  await using senders = new LogSenders(target, 4000);
  for (let round = 0; round < scale; round += 1) {
    await senders.more(20);
    await store.leave(target.data);
    await senders.moreRefused(100);
    store.comeBack();
  }
  await senders.more(100);
  await senders.stop();
  expect(senders.cut).toEqual([]);
  const { lines } = await check(store, target, senders);
  expect(lines).toBe(sum(senders.state.sent.values()));
}

async function dropping(store: LogStore, scale: number): Promise<void> {
  await using target = await startTarget({
    ...store.settings(),
    SHIPLOG_INGEST_SPOOL_MAX_SIZE: '64MiB',
    SHIPLOG_INGEST_SPOOL_WHEN_FULL: 'drop-oldest',
  });
  await using senders = new LogSenders(target, 15_000);
  await senders.more(20);
  await store.leave(target.data);
  const dropped = (): Promise<number> => metric(target.server, 'shiplog_log_records_total{outcome="dropped"}');
  await expect.poll(dropped, { timeout: 120_000 * scale, interval: 200 }).toBeGreaterThan(1000 * scale);
  await senders.stop();
  store.comeBack();
  expect(senders.cut).toEqual([]);

  await expect.poll(() => connectionsOf(target.server), { timeout: 20_000 }).toBe(0);
  const { records } = await settledLedgers(target.server, 120_000);
  const lines = new Map<string, number[]>();
  const found: string[] = [];
  for (const message of await messagesIn(store, target.server)) {
    const [, kind, name = '', number] = /^(line|record) (\S+) (?:(\d+) )?end/.exec(message) ?? [];
    if (kind === 'record') found.push(name);
    else lines.set(name, [...(lines.get(name) ?? []), Number(number)]);
  }
  for (const [connection, numbers] of lines) {
    expect(numbers, connection).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
    expect(numbers.at(-1) ?? 0).toBeLessThan(senders.state.sent.get(connection) ?? 0);
  }
  const { answered, sent } = senders.state;
  expect(found.length).toBe(new Set(found).size);
  expect(found.filter((name) => !answered.has(name))).toEqual([]);
  const taken = answered.size + sum(sent.values());
  const kept = found.length + sum(lines.values().map(({ length }) => length));
  expect(records).toMatchObject({ indexed: kept, dropped: taken - kept, dead_lettered: 0 });
}

async function backlogs(store: LogStore, scale: number): Promise<void> {
  await using target = await startTarget(store.settings());
  await using senders = new LogSenders(target);
  await senders.more(20);
  await store.leave(target.data);
  const before = new Set(senders.state.answered);
  for (let life = 1; life <= 4; life += 1) {
    await senders.more(100 * scale);
    await target.server.kill();
    const spool = await noteCommitted(senders.state, target.data);
    const waiting = [...spool.matchAll(/record (r\d+-\d+) end/g)].map(([, name]) => name ?? '');
    expect(waiting.length, 'records of the spool that are there twice').toBe(new Set(waiting).size);
    // The sink may have some of the first; all else waits.
    const gone = new Set([...senders.state.answered].filter((name) => !before.has(name))).difference(new Set(waiting));
    expect(gone.size, `answered records that are not in the spool: ${[...gone].slice(0, 5).join(' ')}`).toBe(0);
    expect(await livesIn(target.data)).toBe(life);
    await target.server.start();
  }
  store.comeBack();
  await senders.more(20);
  await senders.stop();
  await check(store, target, senders);
}

async function overlapping(store: LogStore, scale: number): Promise<void> {
  const settings = { ...store.settings(), SHIPLOG_HTTP_SHUTDOWN_GRACE: '1s' };
  await using one = await startTarget(settings);
  await using other = await startTarget({ ...settings, SHIPLOG_DATA: one.data });
  await other.server.stop();
  await using senders = new LogSenders(one);
  let [old, next] = [one, other];
  for (let turn = 0; turn < 2 * scale; turn += 1) {
    await senders.more(50);
    await next.server.start();
    // Requests go to the new one, connections stay with the old.
    senders.target = next;
    await senders.more(100);
    await (turn % 2 === 0 ? old.server.kill() : old.server.stop());
    [old, next] = [next, old];
  }
  await senders.more(100);
  await senders.stop();
  await check(store, old, senders);
}

interface RunningTarget extends Target, AsyncDisposable {
  /** Its folder. */
  readonly data: string;
}

async function startTarget(settings: Record<string, string>): Promise<RunningTarget> {
  const forwardPort = await freePort();
  const server = await startServer({ ...settings, SHIPLOG_INGEST_FORWARD_LISTEN: `127.0.0.1:${forwardPort}` });
  const data = settings['SHIPLOG_DATA'] ?? server.data;
  return { server, forwardPort, data, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Directories of lives in a folder. */
async function livesIn(data: string): Promise<number> {
  return (await readdir(join(data, 'spool'))).filter((name) => /^\d/.test(name)).length;
}

/** Compares what is found with what the senders know, and the ledgers with both. */
async function check(
  store: LogStore,
  { server, data }: RunningTarget,
  senders: LogSenders,
): Promise<{ lines: number; records: number }> {
  expect(senders.odd).toEqual([]);
  await expect.poll(() => livesIn(data), { timeout: 120_000, interval: 100 }).toBe(1);
  await expect.poll(() => connectionsOf(server), { timeout: 20_000 }).toBe(0);
  const { records } = await settledLedgers(server, 120_000);
  const found = checkStorm(senders.state, await messagesIn(store, server));
  expect(found.lines).toBeGreaterThan(0);
  expect(records).toMatchObject({
    indexed: found.lines + found.records,
    dropped: 0,
    dead_lettered: 0,
    failure_store: 0,
  });
  return found;
}

/** Connections over TCP whose lines are not all in the spool. */
async function connectionsOf(server: Server): Promise<number> {
  return metric(server, 'shiplog_syslog_tcp_total{event="connections"}');
}

async function metric(server: Server, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length),
  );
}

function sum(numbers: Iterable<number>): number {
  return [...numbers].reduce((total, number) => total + number, 0);
}

/** All messages that are found, in the order of each connection. */
async function messagesIn(store: LogStore, server: Server): Promise<string[]> {
  await store.refresh();
  const found = [await search(server, 'host:storm'), await search(server, 'record end')];
  return found.flatMap((records) => records.map(({ message }) => message).toReversed());
}
