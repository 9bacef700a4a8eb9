import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeMultiStream } from '@msgpack/msgpack';
import { expect, test } from 'vitest';
import { eventTime, pack } from '../support/forward.ts';
import { settledLedgers } from '../support/ledgers.ts';
import { search } from '../support/search.ts';
import { freePort, startServer } from '../support/server.ts';

const [senders, perChunk, wanted] = [3, 5, 600];

/** A message with some numbered lines, which asks to be answered. */
function message(chunk: string): Buffer {
  const events = Array.from({ length: perChunk }, (_, n) => [eventTime(Date.now()), { log: `line ${chunk}-${n} end` }]);
  return pack(['kill', Buffer.concat(events.map((event) => pack(event))), { chunk }]);
}

/** The name of a chunk that was answered; undefined: the connection ended. */
async function answer(answers: AsyncIterator<unknown>): Promise<unknown> {
  const next = await answers.next().catch(() => undefined);
  const value: unknown = next?.done === false ? next.value : undefined;
  return typeof value === 'object' && value !== null && 'ack' in value ? value.ack : undefined;
}

async function dial(port: number): Promise<Socket | undefined> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined);
  return socket.readyState === 'open' ? socket : undefined;
}

test('each chunk that was answered before kill -9 is found, line by line, exactly once', async () => {
  const port = await freePort();
  await using server = await startServer({ SHIPLOG_INGEST_FORWARD_LISTEN: `127.0.0.1:${port}` });
  const answered: string[] = [];
  const unanswered = new Set<string>();
  let away = Promise.resolve();

  async function sender(name: string): Promise<void> {
    let chunk = 0;
    while (answered.length < wanted) {
      await away;
      const socket = await dial(port);
      if (socket === undefined) {
        await sleep(20);
        continue;
      }
      const answers = decodeMultiStream(socket);
      while (answered.length < wanted && !socket.destroyed) {
        chunk += 1;
        const sent = `${name}${chunk}`;
        unanswered.add(sent);
        socket.write(message(sent));
        if ((await answer(answers)) !== sent) break;
        unanswered.delete(sent);
        answered.push(sent);
      }
      socket.destroy();
    }
  }

  async function killer(): Promise<void> {
    for (const share of [wanted / 3, (2 * wanted) / 3]) {
      while (answered.length < share) await sleep(2);
      const { promise, resolve } = Promise.withResolvers<void>();
      away = promise;
      await server.kill();
      await server.start();
      resolve();
    }
  }

  await Promise.all([...Array.from({ length: senders }, (_, n) => sender(`s${n}x`)), killer()]);
  await settledLedgers(server, 20_000);
  const found = new Map<string, number>();
  for (const { message: text } of await search(server, 'line end')) {
    const line = /^line (\S+) end$/.exec(text)?.[1] ?? text;
    found.set(line, (found.get(line) ?? 0) + 1);
  }
  const linesOf = (chunk: string): string[] => Array.from({ length: perChunk }, (_, n) => `${chunk}-${n}`);
  expect(answered.flatMap(linesOf).filter((line) => found.get(line) !== 1)).toEqual([]);
  const sent = new Set([...answered, ...unanswered].flatMap(linesOf));
  expect([...found].filter(([line, times]) => times !== 1 || !sent.has(line))).toEqual([]);
}, 60_000);
