import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { hash } from 'bcryptjs';
import { expect, onTestFinished, test, vi } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { settledLedgers } from '../support/ledgers.ts';
import { random } from '../support/random.ts';
import { ScriptedElasticsearch } from '../support/scripted-elasticsearch.ts';
import { search } from '../support/search.ts';
import { type Server, startServer } from '../support/server.ts';

const waits = { timeout: 20_000, interval: 50 };
const json = { 'content-type': 'application/json' };

/** The workers of a server. */
async function workersOf(server: Server): Promise<number[]> {
  const pid = server.pid();
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

/** Sends records with these messages, each by a connection of its own, which comes to any of the workers. */
async function post(server: Server, messages: readonly string[]): Promise<void> {
  for (const message of messages) {
    const answer = await fetch(`${server.url}/logs`, {
      method: 'POST',
      headers: { ...json, connection: 'close' },
      body: JSON.stringify({ message, host: 'h' }),
    });
    expect(await answer.text()).toBe('{"accepted":1}');
  }
}

async function messagesOf(server: Server): Promise<string[]> {
  return (await search(server, 'host:h')).map(({ message }) => message);
}

async function metric(server: Server, line: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`, { headers: { connection: 'close' } })).text();
  return Number(new RegExp(`^${line.replaceAll(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1]);
}

const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${name} ${at}`);

test('four workers with a backlog are restarted as one: each record is there exactly once', async () => {
  // Nobody listens there: what comes in stays in the spools.
  const away = { SHIPLOG_LOGS_SINK: 'elasticsearch', SHIPLOG_LOGS_ELASTICSEARCH_NODES: 'http://127.0.0.1:9' };
  await using four = await startServer({ SHIPLOG_WORKERS: '4', ...away });
  const sent = numbered('record', 80);
  await post(four, sent);
  expect(await workersOf(four)).toHaveLength(4);
  expect(await metric(four, 'shiplog_log_records_total{outcome="indexed"}')).toBe(0);
  await four.kill();
  await using one = await startServer({ SHIPLOG_DATA: four.data });
  expect(await workersOf(one)).toHaveLength(1);
  await vi.waitFor(async () => expect(await messagesOf(one)).toHaveLength(80), waits);
  expect((await messagesOf(one)).toSorted()).toEqual(sent.toSorted());
  const { records } = await settledLedgers(one, 20_000);
  expect(records).toMatchObject({ read: 80, indexed: 80 });
}, 120_000);

test('workers that are killed while records and pushes come are replaced, and nothing that was answered is missing', async () => {
  await using server = await startServer({ SHIPLOG_WORKERS: '3' });
  const dice = random(3);
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  const answered: string[] = [];
  const unanswered = new Set<string>();

  async function records(sender: number): Promise<void> {
    for (let at = 0; !ending.signal.aborted; at += 1) {
      const message = `sender ${sender} ${at}`;
      const body = JSON.stringify({ message, host: 'h' });
      const answer = await fetch(`${server.url}/logs`, { method: 'POST', headers: json, body }).catch(() => undefined);
      const text = await answer?.text().catch(() => undefined);
      if (text === '{"accepted":1}') answered.push(message);
      else unanswered.add(message);
    }
  }

  /** Each request by a connection of its own, so that an upload wanders; what fails is asked where it stands. */
  async function push(content: Buffer): Promise<void> {
    const ask = async (path: string, init: RequestInit): Promise<Response> => {
      for (;;) {
        const headers = { ...Object.fromEntries(new Headers(init.headers)), connection: 'close' };
        const answer = await fetch(new URL(path, server.url), { ...init, headers }).catch(() => undefined);
        if (answer !== undefined) return answer;
        if (init.method !== 'GET') return new Response(undefined, { status: 503 });
        await sleep(20);
      }
    };
    let place = '';
    while (place === '') {
      place = (await ask('/v2/app/blobs/uploads/', { method: 'POST' })).headers.get('location') ?? '';
    }
    const digest = digestOf(content);
    for (let offset = 0; offset < content.length;) {
      const chunk = content.subarray(offset, offset + 50_000);
      const range = {
        'content-range': `${offset}-${offset + chunk.length - 1}`,
        'content-type': 'application/octet-stream',
      };
      await ask(place, { method: 'PATCH', headers: range, body: new Uint8Array(chunk) });
      const state = await ask(place, { method: 'GET' });
      const end = Number(/-(\d+)$/.exec(state.headers.get('range') ?? '')?.[1] ?? -1);
      offset = offset === 0 && end === 0 ? 0 : end + 1;
    }
    for (;;) {
      const put = await ask(`${place}?digest=${digest}`, { method: 'PUT' });
      const found = await ask(`/v2/app/blobs/${digest}`, { method: 'GET' });
      if (found.status === 200) {
        expect(content.equals(Buffer.from(await found.arrayBuffer()))).toBe(true);
        return;
      }
      expect(put.status).toBe(503);
    }
  }

  async function pushes(): Promise<number> {
    for (let count = 0; ; count += 1) {
      if (ending.signal.aborted) return count;
      await push(dice.bytes(200_000));
    }
  }

  const pushing = pushes();
  const sending = Promise.all([records(0), records(1)]);
  const deaths = 4;
  for (let death = 1; death <= deaths; death += 1) {
    await sleep(dice.int(600));
    const workers = await workersOf(server);
    process.kill(workers[dice.int(workers.length)] ?? 0, 'SIGKILL');
    await vi.waitFor(async () => {
      expect(await metric(server, 'shiplog_worker_deaths_total')).toBe(death);
      expect(await metric(server, 'shiplog_workers')).toBe(3);
    }, waits);
  }
  ending.abort();
  await sending;
  expect(await pushing).toBeGreaterThan(0);
  expect(answered.length).toBeGreaterThan(deaths);

  await vi.waitFor(async () => {
    const there = new Set(await messagesOf(server));
    expect(answered.filter((message) => !there.has(message))).toEqual([]);
  }, waits);
  const { records: counted } = await settledLedgers(server, 20_000);
  const found = await messagesOf(server);
  expect(new Set(found).size).toBe(found.length);
  expect(found.filter((message) => !answered.includes(message) && !unanswered.has(message))).toEqual([]);
  expect(counted).toMatchObject({ read: found.length, indexed: found.length });
}, 180_000);

test('while workers are replaced, no request is refused or broken, and new rules are in force', async () => {
  const folder = await startServer({ SHIPLOG_WORKERS: '1' });
  await using _folder = folder;
  const file = join(folder.data, 'shiplog.yml');
  await writeFile(file, 'workers: 2\n');
  await using server = await startServer({ SHIPLOG_CONFIG: file, SHIPLOG_WORKERS: '' });
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  const accepted: string[] = [];
  async function records(sender: number, connection: string): Promise<void> {
    for (let at = 0; !ending.signal.aborted; at += 1) {
      const message = `sender ${sender} ${at}`;
      const headers = { ...json, connection };
      const body = JSON.stringify({ message, host: 'h' });
      const answer = await fetch(`${server.url}/logs`, { method: 'POST', headers, body });
      expect(await answer.text()).toBe('{"accepted":1}');
      accepted.push(message);
    }
  }
  const sending = Promise.all([records(0, 'close'), records(1, 'keep-alive'), records(2, 'close')]);
  sending.catch(() => undefined);
  for (const workers of [3, 2]) {
    const before = await workersOf(server);
    await writeFile(file, `workers: ${workers}\ningest:\n  rules: [{ name: no, contains: unwanted, drop: true }]\n`);
    process.kill(server.pid() ?? 0, 'SIGHUP');
    await vi.waitFor(
      async () => {
        const after = await workersOf(server);
        expect(after).toHaveLength(workers);
        expect(after.filter((pid) => before.includes(pid))).toEqual([]);
      },
      { ...waits, timeout: 60_000 },
    );
  }
  await post(server, ['unwanted one', 'wanted one']);
  ending.abort();
  await sending;
  await settledLedgers(server, 20_000);
  const found = await messagesOf(server);
  expect(found.toSorted()).toEqual([...accepted, 'wanted one'].toSorted());
}, 120_000);

test('a user who is added, or removed, is so for every worker', async () => {
  await using server = await startServer({ SHIPLOG_WORKERS: '3' });
  const status = async (user: string, password: string): Promise<number> => {
    const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    return (await fetch(`${server.url}/v2/`, { headers: { authorization, connection: 'close' } })).status;
  };
  const statuses = async (): Promise<Set<number>> => {
    const all = [];
    for (let at = 0; at < 6; at += 1) all.push(await status('ci', 'right'));
    return new Set(all);
  };
  const file = join(server.data, 'htpasswd');
  await writeFile(file, `ci:${await hash('right', 4)}\nother:${await hash('other', 4)}\n`);
  await vi.waitFor(async () => expect(await statuses()).toEqual(new Set([200])), waits);
  expect(await status('ci', 'wrong')).toBe(401);
  await writeFile(file, `other:${await hash('other', 4)}\n`);
  await vi.waitFor(async () => {
    const found = await statuses();
    expect(found.has(200)).toBe(false);
  }, waits);
}, 60_000);

test('failed log-ins of all workers together are slowed as those of one', async () => {
  await using server = await startServer({ SHIPLOG_WORKERS: '4' });
  await writeFile(join(server.data, 'htpasswd'), `ci:${await hash('right', 4)}\n`);
  const tries = async (): Promise<number[]> => {
    const all = [];
    for (let at = 0; at < 12; at += 1) {
      const authorization = `Basic ${Buffer.from(`ci:wrong ${at}`).toString('base64')}`;
      all.push((await fetch(`${server.url}/v2/`, { headers: { authorization, connection: 'close' } })).status);
    }
    return all;
  };
  await vi.waitFor(async () => expect((await fetch(`${server.url}/v2/`)).status).toBe(401), waits);
  const judged = (await tries()).filter((status) => status === 401).length;
  // Five at once: each of four workers may allow two.
  expect(judged).toBeLessThanOrEqual(8);
}, 60_000);

test('the metrics of all workers are told by any of them, and ledgers survive a worker', async () => {
  await using server = await startServer({ SHIPLOG_WORKERS: '2' });
  await post(server, numbered('record', 20));
  const indexed = 'shiplog_log_records_total{outcome="indexed"}';
  await vi.waitFor(async () => expect(await metric(server, indexed)).toBe(20), waits);
  for (let time = 0; time < 4; time += 1) {
    expect(await metric(server, indexed)).toBe(20);
    expect(await metric(server, 'shiplog_sink_up')).toBe(1);
    expect(await metric(server, 'shiplog_http_request_duration_seconds_count{route="/logs",code="200"}')).toBe(20);
  }
  const [first] = await workersOf(server);
  process.kill(first ?? 0, 'SIGKILL');
  await vi.waitFor(async () => expect(await metric(server, 'shiplog_worker_deaths_total')).toBe(1), waits);
  await vi.waitFor(async () => expect(await metric(server, indexed)).toBe(20), waits);
}, 60_000);

test('dead letters are removed whichever worker keeps them', async () => {
  await using elasticsearch = await ScriptedElasticsearch.start();
  elasticsearch.answer(({ url, body }) => {
    if (!url.split('?')[0]?.endsWith('_bulk')) return undefined;
    const items = body
      .trimEnd()
      .split('\n')
      .filter((_, at) => at % 2 === 0);
    const error = { type: 'document_parsing_exception', reason: 'no' };
    return { status: 200, json: { errors: true, items: items.map(() => ({ create: { status: 400, error } })) } };
  });
  await using server = await startServer({
    SHIPLOG_WORKERS: '3',
    SHIPLOG_LOGS_SINK: 'elasticsearch',
    SHIPLOG_LOGS_ELASTICSEARCH_NODES: elasticsearch.url,
  });
  await post(server, numbered('rejected', 9));
  const letters = async (): Promise<unknown> => {
    const answer: { total?: unknown } = JSON.parse(await (await fetch(`${server.url}/api/dead-letters`)).text());
    return answer.total;
  };
  await vi.waitFor(async () => expect(await letters()).toBe(9), waits);
  const removed = await fetch(`${server.url}/api/dead-letters?ids=*`, { method: 'DELETE' });
  expect(await removed.json()).toEqual({ dropped: 9 });
  expect(await letters()).toBe(0);
}, 60_000);

test('workers end with their supervisor, whatever ends it', async () => {
  await using server = await startServer({ SHIPLOG_WORKERS: '2' });
  const workers = await workersOf(server);
  process.kill(server.pid() ?? 0, 'SIGKILL');
  const running = promisify(execFile);
  await vi.waitFor(async () => {
    const { stdout } = await running('ps', ['-o', 'stat=', '-p', workers.join(',')]).catch(() => ({ stdout: '' }));
    expect(stdout.split('\n').filter((state) => state !== '' && !state.startsWith('Z'))).toEqual([]);
  }, waits);
}, 60_000);

test('each of four workers has a quarter of what the spool may take', async () => {
  await using server = await startServer({
    SHIPLOG_WORKERS: '4',
    SHIPLOG_INGEST_SPOOL_MAX_SIZE: '8MiB',
    SHIPLOG_LOGS_SINK: 'elasticsearch',
    SHIPLOG_LOGS_ELASTICSEARCH_NODES: 'http://127.0.0.1:9',
  });
  const body = JSON.stringify({ message: 'x'.repeat(100_000), host: 'h' });
  // One connection, and so one worker.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  let accepted = 0;
  for (let status: number | undefined = 200; status === 200;) {
    const asked = request(`${server.url}/logs`, { method: 'POST', headers: json, agent }).end(body);
    const [answer]: IncomingMessage[] = await once(asked, 'response');
    answer?.resume();
    status = answer?.statusCode;
    if (status === 200) accepted += body.length;
  }
  expect(accepted).toBeGreaterThan(1.5 * 1024 * 1024);
  expect(accepted).toBeLessThan(3 * 1024 * 1024);
}, 60_000);

test('a socket that killed workers have left is in no one’s way', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'log');
  await using server = await startServer({ SHIPLOG_WORKERS: '2', SHIPLOG_INGEST_SYSLOG_UNIX: path });
  await server.kill();
  await server.start();
  expect(await workersOf(server)).toHaveLength(2);
  connect(path).end('<30>Aug  3 10:00:00 h tag: by the socket\n');
  await vi.waitFor(async () => expect(await messagesOf(server)).toEqual(['by the socket']), waits);
}, 60_000);
