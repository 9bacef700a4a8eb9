import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { search } from '../support/search.ts';
import { authorization, type Front, startFront } from './support/front.ts';

const senders = 20;
let front: Front;
beforeAll(async () => {
  front = await startFront({ instances: 2 });
});
afterAll(() => front[Symbol.asyncDispose]());

/** Sends lines as Docker's driver does: it never reads, learns of an end by a write that fails, dials and sends that line again. */
class Sender {
  readonly #port: number;
  #socket: Socket | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  async say(text: string): Promise<void> {
    for (;;) {
      const socket = await this.#dial();
      const { promise, resolve } = Promise.withResolvers<boolean>();
      socket.write(`<30>1 2026-11-24T08:00:00Z host app 1 - - ${text}\n`, (error) => resolve(!error));
      if (await promise) return;
      this.#socket = undefined;
    }
  }

  end(): void {
    this.#socket?.destroy();
  }

  async #dial(): Promise<Socket> {
    while (this.#socket === undefined || this.#socket.destroyed) {
      const socket = connect({ port: this.#port, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('error', () => undefined);
      await once(socket, 'connect').catch(() => sleep(50));
      this.#socket = socket;
    }
    return this.#socket;
  }
}

/** The lines of a run that one of the shiplogs has, each as often as it is there. */
async function linesOf(run: string): Promise<string[]> {
  const found = await Promise.all(front.servers.map((server) => search(server, run, authorization)));
  return found.flat().map(({ message }) => message);
}

test.each(['stop', 'kill'] as const)(
  'one of two shiplogs is ended by %s and started again: its connections lose what was on its way, the others nothing',
  async (way) => {
    const [ending] = front.servers;
    const all = Array.from({ length: senders }, () => new Sender(front.nginx.syslogPort));
    const over = new AbortController();
    let last = 0;
    const saying = (async () => {
      for (; !over.signal.aborted; last += 1) {
        await Promise.all(all.map((sender, at) => sender.say(`${way}run sender${at} line${last}`)));
        await sleep(100);
      }
    })();
    await vi.waitFor(async () => expect((await linesOf(`${way}run`)).length).toBeGreaterThan(5 * senders), {
      timeout: 20_000,
      interval: 200,
    });
    await ending[way]();
    await ending.start();
    const restarted = last;
    await vi.waitFor(() => expect(last).toBeGreaterThan(restarted + 5), { timeout: 20_000 });
    over.abort();
    await saying;

    const lost = await vi.waitFor(
      async () => {
        const found = new Set(await linesOf(`${way}run`));
        const isThere = (at: number, line: number): boolean => found.has(`${way}run sender${at} line${line}`);
        for (let at = 0; at < senders; at += 1) expect(isThere(at, last - 1), `the last line of ${at}`).toBe(true);
        return all.map((_, at) => Array.from({ length: last }, (_, line) => line).filter((line) => !isThere(at, line)));
      },
      { timeout: 20_000, interval: 200 },
    );
    for (const sender of all) sender.end();
    const losers = lost.filter((lines) => lines.length > 0);
    const most = Math.max(...lost.map((lines) => lines.length));
    console.log(`${way}: ${losers.length} of ${senders} senders lost lines, each ${most} at most, of ${last}`);
    expect(losers.length).toBeLessThanOrEqual(senders / 2);
    for (const lines of losers) expect(lines).toEqual(lines.map((_, at) => (lines[0] ?? 0) + at));
  },
);

test('a PROXY header counts only from nginx', async () => {
  const forged = 'PROXY TCP4 10.6.6.6 127.0.0.1 1 514\r\n';
  const line = (text: string): string => `${forged}<30>1 2026-11-24T08:00:00Z host app 1 - - ${text}\n`;
  const [server] = front.servers;
  for (const [port, text] of [
    [front.nginx.syslogPort, 'forgedthrough'],
    [server.syslogPort, 'forgeddirectly'],
  ] as const) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    // Whether shiplog refuses it or takes it for a line: the connection ends.
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once('close', () => resolve());
    socket.resume().end(line(text));
    await promise;
  }
  const sender = new Sender(front.nginx.syslogPort);
  await sender.say('honestlast');
  await vi.waitFor(async () => expect(await linesOf('honestlast')).toHaveLength(1), { timeout: 20_000, interval: 200 });
  sender.end();
  for (const server of front.servers) {
    const records = await search(server, 'forgedthrough OR forgeddirectly OR honestlast', authorization);
    for (const { source } of records) expect(source).toMatchObject({ ip: '127.0.0.1' });
  }
});
