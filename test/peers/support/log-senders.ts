import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeMultiStream } from '@msgpack/msgpack';
import { eventTime, pack } from '../../support/forward.ts';
import type { Server } from '../../support/server.ts';
import { dial, type Storm, stormLine } from '../../support/storm.ts';

/** A shiplog that takes logs in each way whose senders are here. */
export interface Target {
  readonly server: Server;
  readonly forwardPort: number;
}

const perMessage = 10;

/**
 * Senders over TCP, HTTP and the forward protocol, which send until they are stopped and know what of it was answered.
 * Nothing is sent twice: what is not answered is followed by something new.
 */
export class LogSenders implements AsyncDisposable {
  /** Records are those of HTTP and of forward. */
  readonly state: Storm = { sent: new Map(), committed: new Map(), answered: new Set(), unanswered: new Set() };
  /** HTTP records that were answered with 503: nothing of them may be kept. */
  readonly refused = new Set<string>();
  /** Answers of HTTP that are neither 200 nor a 503 that says when to come again. */
  readonly odd: string[] = [];
  /** TCP connections that were cut. */
  readonly cut: string[] = [];
  /** Whom new requests and connections go to. */
  target: Target;
  readonly #padding: number;
  readonly #running: Promise<unknown>;
  readonly #sockets = new Set<Socket>();
  readonly #over = new AbortController();
  #ends = false;

  /** `padding`: bytes that each record has more. */
  constructor(target: Target, padding = 0) {
    this.target = target;
    this.#padding = padding;
    this.#running = Promise.all([this.#lines(0), this.#lines(1), this.#records(), this.#chunks()]);
  }

  /** Waits until so many more records are answered. */
  more(count: number): Promise<void> {
    return this.#grown(this.state.answered, count);
  }

  /** Waits until so many more records are refused. */
  moreRefused(count: number): Promise<void> {
    return this.#grown(this.refused, count);
  }

  async #grown(set: ReadonlySet<string>, by: number): Promise<void> {
    const goal = set.size + by;
    for (const end = performance.now() + 120_000; set.size < goal; await sleep(10)) {
      if (performance.now() > end)
        throw new Error(`${set.size} of ${goal} records:\n${this.target.server.output().slice(-3000)}`);
    }
  }

  /** Ends them; what was sent over TCP is read by then, unless its connection was cut. */
  async stop(): Promise<void> {
    this.#ends = true;
    await this.#running;
  }

  /** Ends them at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    for (const socket of this.#sockets) socket.destroy();
    await this.stop();
  }

  async #dial(port: number): Promise<Socket | undefined> {
    const socket = await dial(port);
    if (socket === undefined) {
      await sleep(20);
      return undefined;
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    if (this.#over.signal.aborted) socket.destroy();
    return socket;
  }

  async #lines(sender: number): Promise<void> {
    for (let life = 0; !this.#ends; life += 1) {
      const connection = `c${sender}-${life}`;
      const socket = await this.#dial(this.target.server.syslogPort);
      if (socket === undefined) continue;
      socket.on('error', () => this.cut.push(connection));
      const closed = once(socket, 'close').catch(() => undefined);
      for (let line = 0; !this.#ends && !socket.destroyed;) {
        const chunk = Array.from({ length: perMessage }, (_, n) => stormLine(connection, line + n, this.#padding));
        line += perMessage;
        this.state.sent.set(connection, line);
        if (!socket.write(chunk.join(''))) {
          await Promise.race([once(socket, 'drain').catch(() => undefined), closed]);
        }
        await sleep(5);
      }
      socket.end();
      await closed;
    }
  }

  async #records(): Promise<void> {
    for (let request = 0; !this.#ends; request += 1) {
      const names = namesOf(request);
      const records = names.map((name) => JSON.stringify({ message: this.#messageOf(name), host: 'storm-http' }));
      const answer = await fetch(`${this.target.server.url}/logs`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: records.join('\n'),
        signal: this.#over.signal,
      }).catch(() => undefined);
      const { answered, unanswered } = this.state;
      const kept = answer?.status === 200 ? answered : answer?.status === 503 ? this.refused : unanswered;
      for (const name of names) kept.add(name);
      const saysWhen = Number(answer?.headers.get('retry-after')) > 0;
      if (answer !== undefined && answer.status !== 200 && !(answer.status === 503 && saysWhen))
        this.odd.push(`${answer.status} ${await answer.text().catch(() => '')}`);
      else await answer?.arrayBuffer().catch(() => undefined);
      await sleep(answer?.status === 200 ? 5 : 50);
    }
  }

  async #chunks(): Promise<void> {
    for (let chunk = 1_000_000; !this.#ends;) {
      const socket = await this.#dial(this.target.forwardPort);
      if (socket === undefined) continue;
      const answers = decodeMultiStream(socket);
      for (; !this.#ends && !socket.destroyed; await sleep(5)) {
        chunk += 1;
        const names = namesOf(chunk);
        for (const name of names) this.state.unanswered.add(name);
        const events = names.map((name) => pack([eventTime(Date.now()), { log: this.#messageOf(name) }]));
        socket.write(pack(['storm', Buffer.concat(events), { chunk: String(chunk) }]));
        const next = await answers.next().catch(() => undefined);
        const answer: unknown = next?.done === false ? next.value : undefined;
        if (typeof answer !== 'object' || answer === null || !('ack' in answer) || answer.ack !== String(chunk)) break;
        for (const name of names) {
          this.state.unanswered.delete(name);
          this.state.answered.add(name);
        }
      }
      socket.destroy();
    }
  }

  #messageOf(name: string): string {
    return `record ${name} end${this.#padding > 0 ? ' '.padEnd(this.#padding, 'x') : ''}`;
  }
}

function namesOf(message: number): string[] {
  return Array.from({ length: perMessage }, (_, n) => `r${message}-${n}`);
}
