import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Server } from './server.ts';
import { decodeSpool } from './spool-decoder.ts';

/** How much is sent, and what happens meanwhile. */
export interface StormOptions {
  readonly server: Server;
  /** Lines over TCP, and records over HTTP. */
  readonly count: number;
  readonly connections: number;
  /** The server is killed with SIGKILL, and started again, this often. */
  readonly kills: number;
  /** Called after each restart. */
  readonly afterRestart?: (kill: number) => Promise<void>;
}

/** What a storm sent, and what of it must be found. */
export interface Storm {
  /** TCP connection → lines that were written to it, in order from 0. */
  readonly sent: Map<string, number>;
  /** TCP connection → lines that were in the spool's files right after a kill. */
  readonly committed: Map<string, number>;
  /** HTTP records that were answered. */
  readonly answered: Set<string>;
  /** HTTP records that were sent and got no answer; they were sent again under other names. */
  readonly unanswered: Set<string>;
}

/**
 * Sends numbered lines over TCP and named records over HTTP while the server is killed again and again.
 * A cut connection is followed by a new one, which counts from 0; a request without an answer is sent as new records.
 */
export async function storm(options: StormOptions): Promise<Storm> {
  const { server, count, connections, kills } = options;
  const state: Storm = { sent: new Map(), committed: new Map(), answered: new Set(), unanswered: new Set() };
  const total = { lines: 0 };
  /** Senders wait here while the server is away. */
  let away: Promise<void> = Promise.resolve();

  async function lines(sender: number): Promise<void> {
    for (let life = 0; total.lines < count; life += 1) {
      await away;
      const connection = `c${sender}-${life}`;
      const socket = await dial(server.syslogPort);
      if (socket === undefined) {
        await sleep(20);
        continue;
      }
      for (let line = 0; total.lines < count && !socket.destroyed;) {
        let chunk = '';
        for (let n = 0; n < 20 && total.lines < count; n += 1, line += 1, total.lines += 1)
          chunk += stormLine(connection, line);
        state.sent.set(connection, line);
        const flowing = socket.write(chunk);
        // In step with the records, so that each kill finds lines on their way.
        if (flowing)
          do await sleep(1);
          while (total.lines > state.answered.size + 1000 && !socket.destroyed);
        else await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined);
      }
      socket.end();
      if (!socket.destroyed) await once(socket, 'close').catch(() => undefined);
    }
  }

  async function records(): Promise<void> {
    for (let request = 0; state.answered.size < count; request += 1) {
      await away;
      const names = Array.from({ length: 20 }, (_, n) => `r${request}-${n}`);
      const body = names
        .map((name) => JSON.stringify({ message: `record ${name} end`, host: 'storm-http' }))
        .join('\n');
      const answer = await fetch(`${server.url}/logs`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body,
      }).catch(() => undefined);
      // An answer's status is enough: it is sent after the commit.
      const kept = answer?.status === 200 ? state.answered : state.unanswered;
      for (const name of names) kept.add(name);
      if (answer?.status !== 200) await sleep(20);
      await answer?.arrayBuffer().catch(() => undefined);
    }
  }

  async function killer(): Promise<void> {
    for (let kill = 1; kill <= kills; kill += 1) {
      const share = (count * kill) / (kills + 1);
      while (Math.min(total.lines, state.answered.size) < share) await sleep(2);
      let restarted = (): void => undefined;
      away = new Promise((resolve) => (restarted = resolve));
      await server.kill();
      await noteCommitted(state, server.data);
      await server.start();
      restarted();
      await options.afterRestart?.(kill);
    }
  }

  await Promise.all([...Array.from({ length: connections }, (_, sender) => lines(sender)), records(), killer()]);
  return state;
}

/**
 * Compares what was found with what was sent. `messages` has one entry for each record that was found, in the order
 * of each connection.
 */
export function checkStorm(state: Storm, messages: readonly string[]): { lines: number; records: number } {
  const lines = new Map<string, number[]>();
  const records = new Map<string, number>();
  for (const message of messages) {
    for (const { connection, line } of parse(message)) {
      const found = lines.get(connection) ?? [];
      found.push(line);
      lines.set(connection, found);
    }
    const name = /record (r\d+-\d+) end/.exec(message)?.[1];
    if (name !== undefined) records.set(name, (records.get(name) ?? 0) + 1);
  }
  for (const [connection, found] of lines) {
    const sent = state.sent.get(connection) ?? 0;
    expect(found.length, `${connection}: more than was sent`).toBeLessThanOrEqual(sent);
    const gap = found.findIndex((line, index) => line !== index);
    expect(gap, `${connection}: gap or repeat at ${gap} of ${found.length}`).toBe(-1);
  }
  for (const [connection, committed] of state.committed) {
    expect(lines.get(connection)?.length ?? 0, `${connection}: committed`).toBeGreaterThanOrEqual(committed);
  }
  const lost = [...state.answered].filter((name) => records.get(name) !== 1);
  expect(lost, 'answered records that are not there exactly once').toEqual([]);
  const strange = [...records].filter(
    ([name, times]) => times !== 1 || !(state.answered.has(name) || state.unanswered.has(name)),
  );
  expect(strange, 'records that are there twice, or that nobody sent').toEqual([]);
  return { lines: [...lines.values()].reduce((sum, found) => sum + found.length, 0), records: records.size };
}

/**
 * Notes what lies in the spool of a data folder to which nobody writes, by the independent decoder: of each connection
 * lines without a gap or a repeat. @returns the payloads as one text
 */
export async function noteCommitted(state: Pick<Storm, 'committed'>, data: string): Promise<string> {
  const payloads = [...(await decodeSpool(`${data}/spool`)).values()].map((payload) => payload.toString('latin1'));
  for (const payload of payloads) {
    const before = new Map<string, number>();
    for (const { connection, line } of parse(payload)) {
      expect(line, `${connection} in the spool`).toBe((before.get(connection) ?? line - 1) + 1);
      before.set(connection, line);
      state.committed.set(connection, Math.max(state.committed.get(connection) ?? 0, line + 1));
    }
  }
  return payloads.join('\n');
}

/** A line of a connection, with so many bytes more. */
export function stormLine(connection: string, line: number, padding = 0): string {
  return `<30>1 2026-08-03T10:00:00.123456Z storm app 1 app - line ${connection} ${line} end${padding > 0 ? ' '.padEnd(padding, 'x') : ''}\n`;
}

/** Whole lines of a storm in a text. */
function* parse(text: string): Iterable<{ connection: string; line: number }> {
  for (const [, connection, line] of text.matchAll(/line (c\d+-\d+) (\d+) end/g)) {
    yield { connection: connection ?? '', line: Number(line) };
  }
}

/** Connects. Undefined: nobody listens. */
export async function dial(port: number): Promise<Socket | undefined> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  return Promise.race([
    once(socket, 'connect').then(
      () => socket,
      () => undefined,
    ),
    once(socket, 'close').then(
      () => undefined,
      () => undefined,
    ),
  ]);
}
