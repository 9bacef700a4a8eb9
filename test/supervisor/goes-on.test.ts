import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { pack } from '../support/forward.ts';
import { random } from '../support/random.ts';
import { dial } from '../support/raw-http.ts';
import { search } from '../support/search.ts';
import { freePort, type Server, startServer } from '../support/server.ts';

const waits = { timeout: 20_000, interval: 50 };

/** The workers of a server. */
async function workersOf(server: Server): Promise<number[]> {
  const pid = server.pid();
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

/** Resolves once all workers are new. */
async function replaced(server: Server, old: readonly number[]): Promise<void> {
  await vi.waitFor(
    async () => {
      expect(server.output()).toContain('"msg":"workers were replaced');
      expect((await workersOf(server)).filter((pid) => old.includes(pid))).toEqual([]);
    },
    { ...waits, timeout: 60_000 },
  );
}

test('datagrams and forwarded events are taken by the successor of the worker that took them', async () => {
  const port = await freePort();
  await using server = await startServer({
    SHIPLOG_WORKERS: '2',
    SHIPLOG_INGEST_FORWARD_LISTEN: `127.0.0.1:${port}`,
  });
  const socket = createSocket('udp4');
  const found = async (name: string): Promise<string[]> =>
    (await search(server, name)).map(({ message }) => message).toSorted();

  /** Sends until both are there: what comes while nobody reads is lost, as datagrams may be. */
  async function go(name: string): Promise<void> {
    await vi.waitFor(
      async () => {
        socket.send(`<14>Nov 24 10:00:00 h app: ${name} datagram`, server.syslogPort, '127.0.0.1');
        const line = connect(port, '127.0.0.1');
        line.on('error', () => undefined);
        line.end(pack(['tag', Math.floor(Date.now() / 1000), { log: `${name} event` }]));
        expect(new Set(await found(name))).toEqual(new Set([`${name} datagram`, `${name} event`]));
      },
      { timeout: 30_000, interval: 200 },
    );
  }

  await go('before');
  // Workers are started in turn, the one that alone does this first.
  const [first = 0] = await workersOf(server);
  process.kill(first, 'SIGKILL');
  await go('after');
  expect(await workersOf(server)).not.toContain(first);
  socket.close();
}, 90_000);

test('an event that is repeated over another connection is known again, and datagrams stay in order', async () => {
  const port = await freePort();
  await using server = await startServer({
    SHIPLOG_WORKERS: '4',
    SHIPLOG_INGEST_FORWARD_LISTEN: `127.0.0.1:${port}`,
  });
  const event = pack(['tag', 1_790_000_000, { log: 'repeated' }, { chunk: 'one' }]);
  for (let time = 0; time < 8; time += 1) {
    const client = connect(port, '127.0.0.1');
    client.write(event);
    await once(client, 'data');
    client.destroy();
  }
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  const lines = Array.from({ length: 200 }, (_, at) => `ordered ${at}`);
  for (const line of lines) {
    socket.send(`<14>Nov 24 10:00:00 h app: ${line}`, server.syslogPort, '127.0.0.1');
    await sleep(1);
  }
  const found = async (name: string): Promise<string[]> => (await search(server, name)).map(({ message }) => message);
  await vi.waitFor(async () => expect(await found('ordered')).toEqual(lines.toReversed()), waits);
  expect(await found('repeated')).toEqual(['repeated']);
}, 60_000);

test('a chunked push and a pull that are under way when workers are replaced are finished', async () => {
  await using server = await startServer({ SHIPLOG_WORKERS: '1', SHIPLOG_HTTP_SHUTDOWN_GRACE: '60s' });
  const content = random(7).bytes(24_000_000);
  const digest = digestOf(content);
  const parts = [content.subarray(0, 4_000_000), content.subarray(4_000_000)];
  const start = async (): Promise<string> =>
    (await fetch(`${server.url}/v2/app/blobs/uploads/`, { method: 'POST' })).headers.get('location') ?? '';
  const first = await start();
  expect(
    (await fetch(new URL(`${first}?digest=${digest}`, server.url), { method: 'PUT', body: new Uint8Array(content) }))
      .status,
  ).toBe(201);

  // One connection is idle; a pull is taken up to its head; a push stops amid the second of its chunks.
  using idle = await dial(server.httpPort);
  idle.socket.write(`GET /v2/ HTTP/1.1\r\nHost: ${server.host}\r\n\r\n`);
  await vi.waitFor(() => expect(idle.received().length).toBeGreaterThan(0), waits);
  using pull = await dial(server.httpPort);
  pull.socket.write(`GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: ${server.host}\r\n\r\n`);
  await once(pull.socket, 'data');
  pull.socket.pause();
  const place = new URL(await start(), server.url);
  expect((await fetch(place, { method: 'PATCH', body: new Uint8Array(parts[0] ?? []) })).status).toBe(202);
  const push = request(place, { method: 'PATCH', agent: false });
  const answer = once(push, 'response');
  answer.catch(() => undefined);
  push.write(parts[1]?.subarray(0, 1_000_000));

  const old = await workersOf(server);
  process.kill(server.pid() ?? 0, 'SIGHUP');
  // The old worker ends, and closes what is idle; the new one answers.
  await idle.closed;
  expect((await fetch(`${server.url}/v2/`)).status).toBe(200);
  expect(await workersOf(server)).toEqual([...old, expect.any(Number)]);
  push.end(parts[1]?.subarray(1_000_000));
  pull.socket.resume();
  const [response] = await answer;
  response.resume();
  expect(response.statusCode).toBe(202);
  await pull.closed;
  const received = pull.received();
  expect(received.subarray(received.indexOf('\r\n\r\n') + 4).equals(content)).toBe(true);
  await replaced(server, old);
  const put = await fetch(new URL(`${place.pathname}?digest=${digest}`, server.url), { method: 'PUT' });
  expect(put.status).toBe(201);
}, 120_000);
