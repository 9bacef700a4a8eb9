import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import type { Block } from '../../ingest/block.ts';
import type { ArrivalPage, ArrivalRequest } from '../../ingest/query/arrivals.ts';
import type { Histogram, HistogramRequest } from '../../ingest/query/histogram.ts';
import type { SearchPage, SearchRequest } from '../../ingest/query/search.ts';
import type { PipelineStatus } from '../../ingest/pipeline.ts';
import type { KeptLetter } from '../../ingest/sinks/dead-letter-lines.ts';
import { loadConfig } from '../../src/config.ts';
import { openLog } from '../../src/log.ts';
import type { LogPipeline } from '../../src/logs/pipeline.ts';
import { startService } from '../../src/service.ts';

/** A line of htpasswd at bcrypt's least cost. */
export function userLine(name: string, password: string): string {
  return `${name}:${hashSync(password, 4)}\n`;
}

/** A pipeline that remembers what it got, and answers or fails as it is told. */
export class FakePipeline implements LogPipeline, AsyncDisposable {
  readonly blocks: Block[] = [];
  readonly searches: SearchRequest[] = [];
  readonly addresses = {};
  full = false;
  drained = false;
  trouble: PipelineStatus['trouble'];
  page: SearchPage = { records: [] };
  /** What comes after `page`, which names it by its cursor. */
  rest: SearchPage | undefined;
  /** What counts were asked for, and what they are answered. */
  readonly counts: HistogramRequest[] = [];
  counted: Histogram = { counts: [], values: [] };
  /** What tails asked for, and what they are answered. */
  readonly asked: ArrivalRequest[] = [];
  arrived: ArrivalPage = { records: [], cut: false };
  failure: Error | undefined;
  letters: KeptLetter[] = [];
  readonly deadLetters: LogPipeline['deadLetters'] = {
    read: () => this.#readLetters(),
    remove: (ids) => this.#removeLetters(ids),
    replay: async (ids) => {
      if (this.failure !== undefined) throw this.failure;
      return { taken: await this.#removeLetters(ids), kept: this.letters.length };
    },
  };

  async *#readLetters(): AsyncGenerator<KeptLetter, void, undefined> {
    yield* this.letters;
  }

  async #removeLetters(ids: ReadonlySet<string> | undefined): Promise<number> {
    const before = this.letters.length;
    this.letters = this.letters.filter(({ id }) => ids?.has(id) === false);
    return before - this.letters.length;
  }

  async accept(block: Block): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.blocks.push(block);
  }

  async search(request: SearchRequest): Promise<SearchPage> {
    if (this.failure !== undefined) throw this.failure;
    this.searches.push(request);
    return request.before !== undefined && this.rest !== undefined ? this.rest : this.page;
  }

  async histogram(request: HistogramRequest): Promise<Histogram> {
    if (this.failure !== undefined) throw this.failure;
    this.counts.push(request);
    return this.counted;
  }

  async arrivals(request: ArrivalRequest): Promise<ArrivalPage> {
    if (this.failure !== undefined) throw this.failure;
    this.asked.push(request);
    return this.arrived;
  }

  status(): ReturnType<LogPipeline['status']> {
    return {
      totals: {
        committedBytes: 1,
        readBytes: 2,
        unreadBytes: 3,
        droppedBytes: 4,
        quarantinedBytes: 5,
        readRecords: 6,
        indexedRecords: 7,
        failureStoreRecords: 8,
        deadLetteredRecords: 9,
        droppedRecords: 10,
        inFlightRecords: 11,
      },
      spoolSize: 12,
      spoolFull: this.full,
      lag: 16_000,
      held: { lines: 28, bytes: 29 },
      deliveries: { taken: 17, failed: 18, retriedRecords: 19, window: 20, underWay: 21 },
      possibleDuplicates: 22,
      deadLetters: { added: 23, removed: 24, dropped: 25, bytes: 26 },
      listeners: { tcp: { connections: 13 } },
      parseFailures: 14,
      rules: { 'a rule': 27 },
      lookupFailures: 15,
      ...(this.trouble !== undefined && { trouble: this.trouble }),
    };
  }

  /** The lines of all blocks. */
  get lines(): string[] {
    return this.blocks.flatMap(({ payload }) => Buffer.from(payload).toString().split('\n').slice(0, -1));
  }

  removeOwnLetters(ids?: ReadonlySet<string>): Promise<number> {
    return this.#removeLetters(ids);
  }

  async quarantineSize(): Promise<number> {
    return 30;
  }

  share(): ReturnType<LogPipeline['share']> {
    return { directories: {}, inFlightRecords: 0 };
  }

  totals(): ReturnType<LogPipeline['totals']> {
    return this.status().totals;
  }

  async drain(): Promise<void> {
    this.drained = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Everything of an answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** What is asked: the path and the rest. */
export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** A service in this process on a folder and a port of its own. */
export interface TestService extends AsyncDisposable {
  readonly data: string;
  readonly port: number;
  readonly pipeline: FakePipeline;
  /** Lines of its log. */
  readonly logged: Record<string, unknown>[];
  send(path: string, ask?: Ask): Promise<Answer>;
}

/** Starts one; `users` is the text of its htpasswd file. */
export async function startTestService(
  options: { users?: string; env?: Record<string, string>; data?: string } = {},
): Promise<TestService> {
  await using stack = new AsyncDisposableStack();
  const data = options.data ?? (await mkdtemp(join(tmpdir(), 'shiplog-test-')));
  if (options.data === undefined) stack.defer(() => rm(data, { recursive: true }));
  if (options.users !== undefined) await writeFile(join(data, 'htpasswd'), options.users);
  const config = loadConfig({ env: { SHIPLOG_DATA: data, SHIPLOG_HTTP_LISTEN: '127.0.0.1:0', ...options.env } });
  const logged: Record<string, unknown>[] = [];
  const log = openLog({ write: (line) => void logged.push(JSON.parse(line)) });
  const pipeline = new FakePipeline();
  const service = stack.use(await startService(config, { log, openPipeline: async () => pipeline }));
  const { port } = service.http;
  const parts = stack.move();
  return {
    data,
    port,
    pipeline,
    logged,
    send: (path, ask) => send(port, path, ask),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Sends one request over a connection of its own. */
export function send(port: number, path: string, { method = 'GET', headers = {}, body }: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ port, host: '127.0.0.1', path, method, headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({
          status: answer.statusCode ?? 0,
          headers: Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)])),
          text,
        }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** The header of a log-in. */
export function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

/** The code in the body of a failure. */
export function codeOf({ text }: Answer): string {
  const body: { errors: { code: string }[] } = JSON.parse(text);
  return body.errors[0]?.code ?? '';
}
