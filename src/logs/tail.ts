import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Query } from '../../ingest/query/ast.ts';
import type { ArrivalPage } from '../../ingest/query/arrivals.ts';
import { SinkError } from '../../ingest/sinks/sink.ts';
import { HttpError } from '../http/errors.ts';
import type { Handler } from '../http/state.ts';
import { askSink, untilGone } from './ask-sink.ts';
import { Parameters } from './parameters.ts';
import type { LogPipeline } from './pipeline.ts';

/** How tails work. Times in ms. */
export interface TailOptions {
  /** Given when the service ends. */
  readonly ending: AbortSignal;
  /** How often the sink is asked. */
  readonly every?: number;
  /** So much of what was asked for before is asked for again: records are found later than they came, and clocks differ. */
  readonly overlap?: number;
  /** After so long without a record a comment is sent, so that no proxy takes the connection for dead. */
  readonly keepAlive?: number;
  /** Who does not take what was sent for so long is let go. */
  readonly patience?: number;
  /** Tails at once. */
  readonly most?: number;
}

/** Records of one question to the sink. */
const pageSize = 10_000;

/**
 * `GET /api/logs/tail`: what comes from now on, from whichever worker or machine, as server-sent events (HTML, "9.2
 * Server-sent events"). Each record is an event whose id says where to go on (`Last-Event-ID`); what came shortly before
 * that is sent once more. Beside them there are `skipped` (more came than can be sent) and `trouble` (the sink is away).
 * It ends when whoever asked would be let in no more.
 */
export function tailLogs(pipeline: Pick<LogPipeline, 'arrivals'>, options: TailOptions): Handler {
  const { ending, most = 50, patience = 30_000 } = options;
  let open = 0;
  return async (ctx) => {
    const query = new Parameters(ctx.query, ['q'], Date.now()).query('q');
    // Together with those of the log, the metrics and the pipe there are more listeners than Node takes for no leak.
    ctx.res.setMaxListeners(20);
    const gone = untilGone(ctx.res);
    gone.throwIfAborted();
    if (ending.aborted || open >= most) {
      const why = ending.aborted ? 'the server is ending' : `there are ${most} tails already`;
      throw new HttpError(503, 'UNAVAILABLE', why, { headers: { 'Retry-After': '5' } });
    }
    open += 1;
    gone.addEventListener('abort', () => (open -= 1), { once: true });
    const tail = new Tail(pipeline, query, startOf(ctx.get('Last-Event-ID')), options);
    const first = await askSink(tail.ask(gone));
    ctx.set({
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      // nginx would gather it first.
      'X-Accel-Buffering': 'no',
    });
    const mayGoOn = ctx.state.isStillIn ?? (() => false);
    const events = tail.events(first, { signal: AbortSignal.any([gone, ending]), mayGoOn });
    ctx.body = Readable.from(
      takenInTime(events, patience, () => void ctx.res.destroy()),
      { objectMode: false },
    );
  };
}

/** In ms since 1970: where the event with this id says to go on, or now. */
function startOf(lastEventId: string): number {
  const [, ms] = /^(\d{1,15})\./.exec(lastEventId) ?? [];
  return ms === undefined ? Date.now() : Number(ms);
}

/** A tail remembers so many of the records that it sent. */
const remembered = 3 * pageSize;

class Tail {
  readonly #pipeline: Pick<LogPipeline, 'arrivals'>;
  readonly #query: Query | undefined;
  readonly #options: Required<Pick<TailOptions, 'every' | 'overlap' | 'keepAlive'>>;
  /** Ids, the latest last. */
  readonly #sent = new Set<string>();
  #since: number;

  constructor(pipeline: Pick<LogPipeline, 'arrivals'>, query: Query | undefined, since: number, options: TailOptions) {
    const { every = 1000, overlap = 10_000, keepAlive = 15_000 } = options;
    this.#pipeline = pipeline;
    this.#query = query;
    this.#since = since;
    this.#options = { every, overlap, keepAlive };
  }

  /** The events of what came since it was asked before. @throws {SinkError} */
  async ask(signal: AbortSignal): Promise<string> {
    const now = Date.now();
    const since = this.#since;
    const request = { since, limit: pageSize, ...(this.#query !== undefined && { query: this.#query }) };
    const page = await this.#pipeline.arrivals(request, signal);
    this.#since = Math.max(since, now - this.#options.overlap);
    return this.#render(page, since);
  }

  #render({ records, cut }: ArrivalPage, since: number): string {
    const fresh = records.filter(({ id }) => !this.#sent.has(id));
    // Where something is known again, nothing lies between it and what is new.
    const skipped = cut && fresh.length === records.length ? 'event: skipped\ndata: {}\n\n' : '';
    for (const { id } of records) {
      this.#sent.delete(id);
      this.#sent.add(id);
    }
    for (const id of this.#sent) {
      if (this.#sent.size <= remembered) break;
      this.#sent.delete(id);
    }
    return skipped + fresh.map(({ id, json }) => `id: ${since}.${encodeURIComponent(id)}\ndata: ${json}\n\n`).join('');
  }

  /** Events, from those of the first answer on, until the signal is given, or it may not go on. */
  async *events(
    first: string,
    { signal, mayGoOn }: { readonly signal: AbortSignal; readonly mayGoOn: () => boolean },
  ): AsyncGenerator<string> {
    const { every, keepAlive } = this.#options;
    yield `retry: 1000\n\n${first}`;
    let quietSince = performance.now();
    let trouble = '';
    while (!signal.aborted) {
      await sleep(every, undefined, { signal }).catch(() => undefined);
      if (signal.aborted || !mayGoOn()) return;
      let text = '';
      try {
        text = await this.ask(signal);
        trouble = '';
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof SinkError)) throw error;
        if (error.message !== trouble) text = `event: trouble\ndata: ${JSON.stringify({ message: error.message })}\n\n`;
        trouble = error.message;
      }
      if (text === '' && performance.now() - quietSince < keepAlive) continue;
      yield text === '' ? ': nothing new\n\n' : text;
      quietSince = performance.now();
    }
  }
}

/** The same, as bytes; `late` is called when one is not taken within `patience` ms. */
async function* takenInTime(
  texts: AsyncIterable<string>,
  patience: number,
  late: () => void,
): AsyncGenerator<Uint8Array> {
  let timer: NodeJS.Timeout | undefined;
  try {
    for await (const text of texts) {
      timer = setTimeout(late, patience).unref();
      yield Buffer.from(text);
      clearTimeout(timer);
    }
  } finally {
    clearTimeout(timer);
  }
}
