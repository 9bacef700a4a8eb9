import { spawn } from 'node:child_process';
import { createServer, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { readEvents } from '../../src/cli/events.ts';
import { shiplog } from '../support/command.ts';
import { startTestService } from '../support/service.ts';

const main = join(resolve(import.meta.dirname, '../..'), 'src/main.ts');
const record = (message: string): string => JSON.stringify({ '@timestamp': 'T', message });
const event = (id: string, message: string): string => `id: ${id}\ndata: ${record(message)}\n\n`;

/** `shiplog logs --follow` as a process of its own, which a test ends. */
function follow(
  env: NodeJS.ProcessEnv,
  ...args: string[]
): { stdout: () => string; stderr: () => string; close: () => void; ended: Promise<unknown> } {
  const child = spawn(process.execPath, [main, 'logs', '--follow', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    close: () => void child.stdout.destroy(),
    ended: once(child, 'exit'),
  };
}

/** A server whose tails a test writes. */
async function serveTails(
  found: string[] = [],
): Promise<{ env: NodeJS.ProcessEnv; tails: ServerResponse[]; answer: number }> {
  const tails: ServerResponse[] = [];
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/api/logs/tail') !== true) {
      response.setHeader('content-type', 'application/json');
      response.end(`{"records":[${found.join(',')}]}`);
      return;
    }
    tails.push(response);
    response.statusCode = scripted.answer;
    if (scripted.answer !== 200) return void response.end('{"errors":[{"message":"no"}]}');
    response.setHeader('content-type', 'text/event-stream; charset=utf-8');
    response.flushHeaders();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const env = { PATH: process.env['PATH'], SHIPLOG_DATA: '/nowhere', SHIPLOG_URL: `http://127.0.0.1:${address.port}` };
  const scripted = { env, tails, answer: 200 };
  return scripted;
}

const patient = { timeout: 20_000 };

test('what was found is printed, then what comes, each once', async () => {
  const { env, tails } = await serveTails([record('second'), record('first')]);
  const { stdout } = follow(env, 'host:web', '--image', 'team/web');
  await vi.waitFor(() => expect(stdout()).toBe('T - - - - first\nT - - - - second\n'), patient);
  expect(new URL(tails[0]?.req.url ?? '', 'http://x').searchParams.get('q')).toBe('(host:web) image:team/web');
  tails[0]?.write(event('1.b', 'second') + event('1.c', 'third') + event('2.c', 'third') + event('2.d', 'third'));
  await vi.waitFor(
    () => expect(stdout()).toBe('T - - - - first\nT - - - - second\nT - - - - third\nT - - - - third\n'),
    patient,
  );
});

test('a connection that breaks off is gone on with where it was, whether it ended or was cut, and the server was away', async () => {
  const scripted = await serveTails();
  const { env, tails } = scripted;
  const { stdout, stderr } = follow(env, '--json');
  await vi.waitFor(() => expect(tails).toHaveLength(1), patient);
  tails[0]?.write(event('17.a%20b', 'one'));
  await vi.waitFor(() => expect(stdout()).toContain('one'), patient);
  tails[0]?.end();
  await vi.waitFor(() => expect(tails).toHaveLength(2), patient);
  expect(tails[1]?.req.headers['last-event-id']).toBe('17.a%20b');
  tails[1]?.write(event('18.a%20b', 'one') + event('18.c', 'two'));
  await vi.waitFor(() => expect(stdout()).toContain('two'), patient);
  scripted.answer = 503;
  tails[1]?.destroy();
  await vi.waitFor(() => expect(tails.length).toBeGreaterThanOrEqual(4), patient);
  scripted.answer = 200;
  const before = tails.length;
  await vi.waitFor(() => expect(tails.length).toBeGreaterThan(before), patient);
  tails.at(-1)?.write(event('19.d', 'three'));
  await vi.waitFor(() => expect(stdout()).toContain('three'), patient);
  const lines = stdout().trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line).message)).toEqual(['one', 'two', 'three']);
  expect(stderr()).toContain('the connection ended; trying to go on');
});

test('a refusal ends it, with the reason', async () => {
  const scripted = await serveTails();
  scripted.answer = 403;
  const { stderr, ended } = follow(scripted.env);
  expect(await ended).toEqual([1, null]);
  expect(stderr()).toMatch(/403: no\n$/);
});

test('that records were left out, or the store is away, is told', async () => {
  const { env, tails } = await serveTails();
  const { stderr } = follow(env);
  await vi.waitFor(() => expect(tails).toHaveLength(1), patient);
  tails[0]?.write(': nothing\n\nevent: skipped\ndata: {}\n\nevent: trouble\ndata: {"message":"away"}\n\n');
  await vi.waitFor(() => expect(stderr()).toMatch(/some records are left out\n.*does not answer.*away/), patient);
});

test('it ends when nobody reads what it prints', async () => {
  const { env, tails } = await serveTails();
  const { close, ended } = follow(env);
  await vi.waitFor(() => expect(tails).toHaveLength(1), patient);
  close();
  const timer = setInterval(() => tails[0]?.write(event(`1.${Math.random()}`, 'line')), 20);
  expect(await ended).toEqual([0, null]);
  clearInterval(timer);
});

test('it works with the server as it is, and without --follow it ends', async () => {
  await using service = await startTestService();
  const env = {
    PATH: process.env['PATH'],
    SHIPLOG_DATA: service.data,
    SHIPLOG_HTTP_LISTEN: `127.0.0.1:${service.port}`,
  };
  service.pipeline.arrived = { records: [{ id: 'a', json: record('came') }], cut: false };
  const { stdout } = follow(env);
  await vi.waitFor(() => expect(stdout()).toBe('T - - - - came\n'), patient);
  expect(await shiplog(['logs', '--follow', '--until', '1m'], env)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('give --follow or --until, not both'),
  });
});

test('events are read however their bytes are cut', async () => {
  const bytes = Buffer.from(
    'retry: 1\r\n\r\n: comment\nid: 1.a\ndata: ü1\ndata:2\n\ndata\nevent: x\n\nid\ndata:  y\n\ndata: torn',
  );
  const expected = [
    { name: 'message', id: '1.a', data: 'ü1\n2' },
    { name: 'x', id: '1.a', data: '' },
    { name: 'message', id: '', data: ' y' },
  ];
  for (let size = 1; size <= bytes.length; size += 1) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    );
    expect(await Array.fromAsync(readEvents(ReadableStream.from(chunks)))).toEqual(expected);
  }
});
