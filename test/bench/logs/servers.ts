import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../support/server.ts';
import { goProgram } from '../load.ts';
import { type Queue, rsyslogConfiguration, rsyslogd, type Target } from './rsyslog.ts';

/** What load/ is to send; load/main.go tells of each field. */
export interface Sending {
  readonly lines: number;
  readonly network?: 'tcp' | 'udp';
  /** Datagrams a second, at most. */
  readonly rate?: number;
  /** Lines of one format, whose times are spread over so many seconds before now. */
  readonly span?: number;
  readonly wait?: 'sent' | 'quiet';
}

/** What load/ did; load/main.go tells of each field. */
export interface Sent {
  readonly operations: number;
  readonly documents: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly sent: number;
  readonly cpu: number;
}

/** A server that takes lines, with a sink of its own. */
export interface LogServer extends AsyncDisposable {
  readonly pids: () => readonly number[];
  /** Its folder, on a disk. */
  readonly folder: string;
  /** Has lines sent; waits until all are in the sink, unless told otherwise. @throws where one is not what was sent */
  send(sending: Sending): Promise<Sent>;
}

/** A program, and its arguments and environment on ports of its own. */
interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const main = resolve(import.meta.dirname, '../../../src/main.ts');

/** A shiplog, and where it answers. */
export interface Shiplog extends LogServer {
  readonly url: string;
}

/**
 * shiplog as it is by default, but for the settings: each line is synced before it is delivered; its documents go to the
 * sink as to Elasticsearch.
 */
export async function shiplog(settings: Readonly<Record<string, string>> = {}): Promise<Shiplog> {
  const http = `127.0.0.1:${await freePort()}`;
  const server = await start(async (folder, port, sink) => ({
    command: process.execPath,
    args: [main],
    env: {
      SHIPLOG_DATA: join(folder, 'data'),
      SHIPLOG_HTTP_LISTEN: http,
      SHIPLOG_INGEST_SYSLOG_TCP: `127.0.0.1:${port}`,
      SHIPLOG_INGEST_SYSLOG_UDP: `127.0.0.1:${port}`,
      SHIPLOG_LOGS_SINK: 'elasticsearch',
      SHIPLOG_LOGS_ELASTICSEARCH_NODES: `http://127.0.0.1:${sink}`,
      ...settings,
    },
  }));
  return { ...server, url: `http://${http}` };
}

/** Waits until one of a shiplog's counters, as `/metrics` names it, has such a value. */
export async function untilCounted({ url }: Shiplog, counter: string, value: number): Promise<void> {
  for (let last = -1, lastAt = performance.now(); ;) {
    const count = await countOf({ url }, counter);
    if (count >= value) return;
    if (count !== last) [last, lastAt] = [count, performance.now()];
    if (performance.now() - lastAt > 60_000) throw new Error(`${counter} stays at ${count} of ${value}`);
    await sleep(20);
  }
}

/** One of a shiplog's counters, as `/metrics` names it. */
export async function countOf({ url }: Pick<Shiplog, 'url'>, counter: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split('\n').find((line) => line.startsWith(`${counter} `));
  if (line === undefined) throw new Error(`there is no ${counter}`);
  return Number(line.slice(counter.length + 1));
}

/** rsyslog with a queue, and a sink of its own, or an Elasticsearch. */
export function rsyslog(queue: Queue, elasticsearch?: Target): Promise<LogServer> {
  return start(async (folder, port, sink) => {
    const config = join(folder, 'rsyslog.conf');
    const target = elasticsearch ?? { port: sink, index: 'logs' };
    await writeFile(config, rsyslogConfiguration(queue, folder, port, target));
    return { command: await rsyslogd(), args: ['-n', '-f', config, '-i', join(folder, 'pid')], env: {} };
  });
}

async function start(configure: (folder: string, port: number, sink: number) => Promise<Program>): Promise<LogServer> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-bench-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const [port, sink] = [await freePort(), await freePort()];
  const output = stack.use(await open(join(folder, 'output'), 'w'));
  const written = async (): Promise<string> => (await readFile(join(folder, 'output'), 'utf8')).slice(-2000);
  const run = async ({ command, args, env }: Program, ready: number): Promise<ChildProcess> => {
    const child = spawn(command, args, { env, stdio: ['ignore', output.fd, output.fd] });
    await once(child, 'spawn');
    stack.defer(() => end(child));
    for (let attempt = 0; !(await answers(ready)); attempt += 1) {
      if (attempt > 3000 || child.exitCode !== null) throw new Error(`${command} did not start:\n${await written()}`);
      await sleep(20);
    }
    return child;
  };
  const load = await goProgram(join(import.meta.dirname, 'load'));
  await run({ command: load, args: ['-listen', `127.0.0.1:${sink}`], env: {} }, sink);
  const child = await run(await configure(folder, port, sink), port);
  const parts = stack.move();
  return {
    pids: () => (child.pid === undefined ? [] : [child.pid]),
    folder,
    async send({ lines, network = 'tcp', ...more }) {
      const options = Object.entries(more).map(([name, value]) => `&${name}=${value}`);
      const query = `network=${network}&to=127.0.0.1:${port}&lines=${lines}${options.join('')}`;
      const answer = await fetch(`http://127.0.0.1:${sink}/_bench/send?${query}`, { method: 'POST' });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${text.trim()}:\n${await written()}`);
      return JSON.parse(text);
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await exit;
  clearTimeout(timer);
}

function answers(port: number): Promise<boolean> {
  const { promise, resolve: settle } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1', () => settle(true));
  socket.on('error', () => settle(false));
  return promise.finally(() => socket.destroy());
}
