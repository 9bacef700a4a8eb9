import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Koa from 'koa';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { ArrivalPage, ArrivalRequest } from '../../ingest/query/arrivals.ts';
import { SinkError } from '../../ingest/sinks/sink.ts';
import { answerFailures } from '../../src/http/failures.ts';
import type { RequestState } from '../../src/http/state.ts';
import { tailLogs, type TailOptions } from '../../src/logs/tail.ts';
import { startTestService, userLine } from '../support/service.ts';

/** A sink that answers as it is told, and a server with a tail on it. */
interface Tailed {
  readonly asked: ArrivalRequest[];
  page: ArrivalPage | Error;
  readonly ending: AbortController;
  /** How many connections there are. */
  connections(): Promise<number>;
  /** Opens a tail; `text` is what came of it so far. */
  open(path?: string, headers?: Record<string, string>): Promise<{ answer: IncomingMessage; text: () => string }>;
}

async function serveTail(options: Partial<TailOptions> = {}): Promise<Tailed> {
  const asked: ArrivalRequest[] = [];
  const ending = new AbortController();
  const tailed: Tailed = {
    asked,
    page: { records: [], cut: false },
    ending,
    connections: () => promisify(server.getConnections.bind(server))(),
    async open(path = '/', headers = {}) {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('no port');
      const request = get({ port: address.port, path, headers, agent: false });
      const [answer]: IncomingMessage[] = await once(request, 'response');
      if (answer === undefined) throw new Error('no answer');
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('error', () => undefined);
      return { answer, text: () => text };
    },
  };
  const sink = {
    async arrivals(request: ArrivalRequest): Promise<ArrivalPage> {
      asked.push(request);
      if (tailed.page instanceof Error) throw tailed.page;
      return tailed.page;
    },
  };
  const app = new Koa<RequestState>();
  app.on('error', () => undefined);
  app.use(answerFailures);
  app.use(async (ctx, next) => {
    ctx.state.isStillIn = () => true;
    await next();
  });
  app.use(tailLogs(sink, { ending: ending.signal, every: 5, ...options }));
  const handle = app.callback();
  const server = createServer((request, response) => void handle(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return tailed;
}

const record = (id: string): { id: string; json: string } => ({ id, json: JSON.stringify({ message: id }) });

/** The data of the events of records, in order. */
function messages(text: string): string[] {
  return [...text.matchAll(/^id: \d+\..*\ndata: (.*)$/gm)].map(([, json = '']) => String(JSON.parse(json).message));
}

test('each record is one event, once, however often the sink tells of it', async () => {
  const tailed = await serveTail();
  tailed.page = { records: [record('a\nb')], cut: false };
  const { answer, text } = await tailed.open();
  expect(answer.headers).toMatchObject({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  tailed.page = { records: [record('a\nb'), record('c')], cut: false };
  await vi.waitFor(() => expect(messages(text())).toEqual(['a\nb', 'c']), 20_000);
  const before = tailed.asked.length;
  await vi.waitFor(() => expect(tailed.asked.length).toBeGreaterThan(before + 3), 20_000);
  expect(messages(text())).toEqual(['a\nb', 'c']);
  expect(text()).toMatch(/^retry: 1000\n\nid: \d+\.a%0Ab\ndata: \{"message":"a\\nb"\}\n\n/);
});

test('the sink is asked for what came from now on, then again and again with an overlap', async () => {
  const tailed = await serveTail({ overlap: 1 });
  const before = Date.now();
  await tailed.open('/?q=host:web');
  await vi.waitFor(() => expect(tailed.asked.length).toBeGreaterThan(20), 20_000);
  const sinces = tailed.asked.map(({ since }) => since);
  expect(sinces[0]).toBeGreaterThanOrEqual(before);
  expect(sinces).toEqual(sinces.toSorted((a, b) => a - b));
  expect(sinces.at(-1)).toBeGreaterThan(sinces[0] ?? 0);
  expect(sinces.at(-1)).toBeLessThan(Date.now());
  expect(tailed.asked[0]?.query).toEqual({ kind: 'field', fields: ['host.name'], pattern: ['web'] });
});

test('nothing that came before the tail is asked for, unless an event says where to go on', async () => {
  const tailed = await serveTail({ overlap: 60_000 });
  const before = Date.now();
  await tailed.open();
  await vi.waitFor(() => expect(tailed.asked.length).toBeGreaterThan(3), 20_000);
  const sinces = tailed.asked.map(({ since }) => since);
  expect(sinces[0]).toBeGreaterThanOrEqual(before);
  // As long as the overlap reaches back beyond the start.
  expect(new Set(sinces).size).toBe(1);
  await tailed.open('/', { 'last-event-id': '1700000000000.some%20id' });
  expect(tailed.asked.some(({ since }) => since === 1_700_000_000_000)).toBe(true);
});

test('that records were left out is told, but not where all are known or joined to what is', async () => {
  const tailed = await serveTail();
  const { text } = await tailed.open();
  tailed.page = { records: [record('a'), record('b')], cut: true };
  await vi.waitFor(() => expect(messages(text())).toEqual(['a', 'b']), 20_000);
  tailed.page = { records: [record('b'), record('c')], cut: true };
  await vi.waitFor(() => expect(messages(text())).toEqual(['a', 'b', 'c']), 20_000);
  expect(text().match(/event: skipped\ndata: \{\}\n\n/g)).toHaveLength(1);
});

test('while the sink is away the tail says so once, and asks from where it was', async () => {
  const tailed = await serveTail({ overlap: 0 });
  const { text } = await tailed.open();
  tailed.page = new SinkError('unavailable', 'away\nfor now');
  await vi.waitFor(() => expect(text()).toContain('event: trouble'), 20_000);
  const failed = tailed.asked.at(-1)?.since;
  const before = tailed.asked.length;
  await vi.waitFor(() => expect(tailed.asked.length).toBeGreaterThan(before + 5), 20_000);
  expect(tailed.asked.at(-1)?.since).toBe(failed);
  tailed.page = { records: [record('back')], cut: false };
  await vi.waitFor(() => expect(messages(text())).toEqual(['back']), 20_000);
  expect(text().match(/event: trouble\ndata: \{"message":"away\\nfor now"\}\n\n/g)).toHaveLength(1);
});

test('a sink that is away from the start is 503, a bad query is 400', async () => {
  const tailed = await serveTail();
  tailed.page = new SinkError('refused', 'no rights');
  expect((await tailed.open()).answer.statusCode).toBe(503);
  expect((await tailed.open('/?q=(')).answer.statusCode).toBe(400);
  expect((await tailed.open('/?since=1h')).answer.statusCode).toBe(400);
});

test('a tail without records is kept alive by comments', async () => {
  const tailed = await serveTail({ keepAlive: 0 });
  const { text } = await tailed.open();
  await vi.waitFor(() => expect(text()).toMatch(/^retry: 1000\n\n(: nothing new\n\n){3}/), 20_000);
});

test('there are only so many tails, and one that ended makes room', async () => {
  const tailed = await serveTail({ most: 2 });
  const { answer } = await tailed.open();
  await tailed.open();
  const third = await tailed.open();
  expect([third.answer.statusCode, third.answer.headers['retry-after']]).toEqual([503, '5']);
  answer.destroy();
  await vi.waitFor(async () => expect((await tailed.open()).answer.statusCode).toBe(200), 20_000);
});

test('a tail whose reader has gone asks no more', async () => {
  const tailed = await serveTail();
  const { answer } = await tailed.open();
  await vi.waitFor(() => expect(tailed.asked.length).toBeGreaterThan(2), 20_000);
  answer.destroy();
  let before = -1;
  await vi.waitFor(
    () => {
      const now = tailed.asked.length;
      const same = now === before;
      before = now;
      expect(same).toBe(true);
    },
    { interval: 100 },
  );
});

test('who does not read is let go, and what waits for it stays bounded', async () => {
  const tailed = await serveTail({ patience: 100 });
  const { answer } = await tailed.open();
  let count = 0;
  const page = (): ArrivalPage => {
    count += 1;
    return { records: [{ id: `${count}`, json: JSON.stringify({ message: 'x'.repeat(4_000_000) }) }], cut: false };
  };
  Object.defineProperty(tailed, 'page', { get: page });
  answer.pause();
  await vi.waitFor(async () => expect(await tailed.connections()).toBe(0), { timeout: 20_000 });
  expect(count).toBeLessThan(20);
});

test.each([
  ['is removed', (lines: string[]) => lines.slice(1)],
  ['has another password', (lines: string[]) => [userLine('ann', 'changed'), ...lines.slice(1)]],
])('a tail ends soon after its user %s; that of another goes on', async (_, change) => {
  const lines = [userLine('ann', 'secret'), userLine('bob', 'secret')];
  await using service = await startTestService({ users: lines.join('') });
  const open = async (user: string): Promise<IncomingMessage> => {
    const request = get({ port: service.port, path: '/api/logs/tail', agent: false, auth: `${user}:secret` });
    const [answer]: IncomingMessage[] = await once(request, 'response');
    if (answer?.statusCode !== 200) throw new Error(`the tail was answered ${answer?.statusCode}`);
    return answer.resume();
  };
  const [ann, bob] = [await open('ann'), await open('bob')];
  onTestFinished(() => void bob.destroy());
  await writeFile(join(service.data, 'htpasswd'), change(lines).join(''));
  await vi.waitFor(() => expect(ann.complete).toBe(true), 20_000);
  const asked = service.pipeline.asked.length;
  await vi.waitFor(() => expect(service.pipeline.asked.length).toBeGreaterThan(asked), 20_000);
  expect(bob.complete).toBe(false);
});

test('tails end when the service does, in good order', async () => {
  const service = await startTestService();
  service.pipeline.arrived = { records: [record('a')], cut: false };
  const request = get({ port: service.port, path: '/api/logs/tail', agent: false });
  const [answer]: IncomingMessage[] = await once(request, 'response');
  let text = '';
  answer?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await vi.waitFor(() => expect(messages(text)).toEqual(['a']), 20_000);
  await service[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(answer?.complete).toBe(true), 20_000);
});
