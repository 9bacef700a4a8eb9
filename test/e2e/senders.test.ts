import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventTime, pack } from '../support/forward.ts';
import { eventually, type Found, search } from '../support/search.ts';
import { freePort, type Server, startServer } from '../support/server.ts';

const token = 'd3b07384d113edec49eaa6238ad5ff00';
const stack = new AsyncDisposableStack();
let server: Server;
const ports = { forward: 0, gelfTcp: 0, gelfUdp: 0 };
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-senders-'));
  stack.defer(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'tokens'), `build ${token} cluster=guarded host=build-7\n`);
  for (const name of ['forward', 'gelfTcp', 'gelfUdp'] as const) ports[name] = await freePort();
  const settings = {
    SHIPLOG_INGEST_FORWARD_LISTEN: `127.0.0.1:${ports.forward}`,
    SHIPLOG_INGEST_GELF_TCP: `127.0.0.1:${ports.gelfTcp}`,
    SHIPLOG_INGEST_GELF_UDP: `127.0.0.1:${ports.gelfUdp}`,
    SHIPLOG_INGEST_HTTP_TOKENS_FILE: join(folder, 'tokens'),
  };
  server = stack.use(await startServer(settings));
});
afterAll(() => stack.disposeAsync());

const post = (path: string, body: object, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(server.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

async function send(port: number, bytes: Uint8Array | string): Promise<void> {
  const socket = connect(port, '127.0.0.1').resume();
  socket.end(bytes);
  await once(socket, 'close');
}

async function find(message: string): Promise<Found | undefined> {
  const found = await eventually(
    () => search(server, `"${message}"`),
    (records) => records.length > 0,
  );
  return found[0];
}

test('what comes by each way is found', async () => {
  await send(ports.forward, pack(['t', eventTime(Date.now()), { log: 'by forward' }]));
  await send(ports.gelfTcp, '{"short_message":"by gelf over tcp","host":"h"}\0');
  const udp = createSocket('udp4');
  udp.send(gzipSync('{"short_message":"by gelf over udp","host":"h"}'), ports.gelfUdp, '127.0.0.1');
  expect((await post('/services/collector', { event: 'by the collector', host: 'h' })).status).toBe(200);
  for (const way of ['by forward', 'by gelf over tcp', 'by gelf over udp', 'by the collector']) {
    expect(await find(way)).toMatchObject({ message: way, source: { ip: '127.0.0.1' } });
  }
  udp.close();
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  for (const line of [
    'shiplog_forward_total{event="accepted"} 1',
    'shiplog_gelf_tcp_total{event="accepted"} 1',
    'shiplog_gelf_udp_total{event="datagrams"} 1',
  ]) {
    expect(metrics).toContain(line);
  }
});

test('a cluster that a token gives is its senders’ alone, and so is its host', async () => {
  const record = (message: string): object => ({ message, host: 'elsewhere', cluster: 'guarded' });
  expect((await post('/logs', record('from a stranger'))).status).toBe(200);
  expect((await post('/logs', record('from the build'), { authorization: `Bearer ${token}` })).status).toBe(200);
  expect(await find('from a stranger')).toMatchObject({
    host: { name: 'elsewhere' },
    orchestrator: { cluster: { name: 'default' } },
  });
  expect(await find('from the build')).toMatchObject({
    host: { name: 'build-7' },
    orchestrator: { cluster: { name: 'guarded' } },
  });
});

test('a listener that cannot be opened is named by its key', async () => {
  for (const [name, variable] of [
    ['forward.listen', 'FORWARD_LISTEN'],
    ['gelf.tcp', 'GELF_TCP'],
    ['gelf.udp', 'GELF_UDP'],
  ] as const) {
    const taken = name === 'gelf.udp' ? ports.gelfUdp : ports.forward;
    const start = startServer({ [`SHIPLOG_INGEST_${variable}`]: `127.0.0.1:${taken}` });
    await expect(start).rejects.toThrow(`ingest.${name} is 127.0.0.1:${taken}: another process listens there already`);
  }
});
