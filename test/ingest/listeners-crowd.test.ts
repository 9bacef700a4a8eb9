import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { client, tcp } from '../support/listeners.ts';
import { disk, Machine } from '../support/spool.ts';

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 60_000, interval: 5 });

/** Writes the same as fast as the socket takes it, for ever. */
function flood(socket: Socket, text: string): void {
  const chunk = Buffer.from(text.repeat(Math.ceil(100_000 / text.length)));
  const write = (error?: Error | null): void => {
    if (!error && !socket.destroyed) socket.write(chunk, write);
  };
  write();
}

/** Resolves when a number has not changed for a while. */
async function standstill(read: () => number | undefined): Promise<void> {
  for (let [last, times] = [read(), 0]; times < 20; times += 1) {
    await sleep(25);
    const now = read();
    if (now !== last) times = 0;
    last = now;
  }
}

test('beside 1,000 idle ones, a slow one, an endless frame and a crash loop all others are heard, in bounded memory', async () => {
  const spool = await new Machine().open(await disk(), { maxSize: 200_000_000, segmentSize: 5_000_000 });
  const heard = new Set<string>();
  const append = spool.append.bind(spool);
  vi.spyOn(spool, 'append').mockImplementation(async (block) => {
    await append(block);
    for (const [line] of Buffer.from(block.payload)
      .toString('latin1')
      .matchAll(/<13>\d+ \d+/g))
      heard.add(line);
  });
  const before = process.memoryUsage();
  await using listener = await tcp(spool, { restBudget: 4_000_000, windowBudget: 16_000_000 });
  const idle: Socket[] = [];
  while (idle.length < 1000) idle.push(...(await Promise.all(Array.from({ length: 100 }, () => client(listener)))));
  const [slow, endless, crash] = [await client(listener), await client(listener), await client(listener)];
  slow.write('<');
  flood(endless, '<11>endless ');
  flood(crash, `<11>crash ${'x'.repeat(200)}\n`);
  const others = await Promise.all(Array.from({ length: 20 }, () => client(listener)));
  for (let round = 0; round < 20; round += 1) {
    // The sink is away: nothing leaves the spool. Without fairness nothing would come any more because it is full.
    if (round === 10) await standstill(() => listener.counters['bytes']);
    for (const [index, socket] of others.entries()) socket.write(`<13>${index} ${round}\n`);
    slow.write('x');
    await until(() => expect(heard.size).toBe((round + 1) * 20));
  }
  expect(spool.full).toBe(false);
  expect(spool.level).toBeGreaterThan(0.5);
  // Of them the spool's disk, which is in memory here, has 200 MB at most.
  expect(process.memoryUsage().rss - before.rss).toBeLessThan(700_000_000);
  for (const socket of [...idle, ...others, slow, endless, crash]) socket.destroy();
  await until(() => expect(listener.counters['connections']).toBe(0));
});
