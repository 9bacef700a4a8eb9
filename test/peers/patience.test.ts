import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { random } from '../support/random.ts';
import { type Server, startServer } from '../support/server.ts';
import { fastClock } from './support/faketime.ts';

/** So many of the server's seconds are one of ours. */
const speed = 30;
const minute = 60_000;

let server: Server;
beforeAll(async () => {
  server = await startServer(fastClock(speed));
});
afterAll(() => server[Symbol.asyncDispose]());

/** The server's time, in ms. */
async function now(): Promise<number> {
  const { headers } = await fetch(`${server.url}/health/live`);
  return Date.parse(headers.get('date') ?? '');
}

/** Where a new upload session is. */
async function session(): Promise<string> {
  const { headers } = await fetch(`${server.url}/v2/slow/blobs/uploads/`, { method: 'POST' });
  return `${server.url}${headers.get('location')}`;
}

/** A connection that is written to by hand. */
async function dial(): Promise<{ socket: Socket; seen: () => string; ended: () => boolean }> {
  const socket = connect(server.httpPort, server.host);
  let text = '';
  socket.on('data', (chunk) => (text += String(chunk)));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return { socket, seen: () => text, ended: () => socket.closed };
}

test('a PATCH that trickles for longer than five minutes succeeds', async () => {
  const bytes = random(3).bytes(100_000);
  const url = await session();
  const patch = request(url, { method: 'PATCH' });
  const answered = once(patch, 'response');
  const began = await now();
  let sent = 0;
  while ((await now()) - began < 6 * minute) {
    patch.write(bytes.subarray(sent, (sent += 10)));
    await sleep(200);
  }
  patch.end(bytes.subarray(sent));
  const [response] = await answered;
  response.resume();
  expect(response.statusCode).toBe(202);
  const digest = digestOf(bytes);
  expect((await fetch(`${url}?digest=${digest}`, { method: 'PUT' })).status).toBe(201);
  const blob = await fetch(`${server.url}/v2/slow/blobs/${digest}`);
  expect(digestOf(new Uint8Array(await blob.arrayBuffer()))).toBe(digest);
});

test('a client that falls silent in the middle of its body is cut off after a minute, and what came is kept', async () => {
  const url = await session();
  const { socket, ended } = await dial();
  const began = await now();
  socket.write(`PATCH ${new URL(url).pathname} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc`);
  await expect.poll(ended, { timeout: 60_000 }).toBe(true);
  expect((await now()) - began).toBeGreaterThanOrEqual(minute - 1000);
  await expect.poll(async () => (await fetch(url)).headers.get('range'), { timeout: 60_000 }).toBe('0-2');
});

test('clients that never come to the end of their header are cut off, and others are served meanwhile', async () => {
  const slow = await Promise.all(Array.from({ length: 300 }, dial));
  for (const { socket } of slow) socket.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n');
  let turns = 0;
  while (!slow.every(({ ended }) => ended()) && turns < 300) {
    turns += 1;
    for (const { socket, ended } of slow) if (!ended()) socket.write('X-A: b\r\n');
    expect((await fetch(`${server.url}/v2/`)).status).toBe(200);
    await sleep(100);
  }
  expect(slow.filter(({ ended }) => !ended())).toEqual([]);
  expect(slow.filter(({ seen }) => seen().startsWith('HTTP/1.1 408 ')).length).toBeGreaterThan(0);
});
