/**
 * One machine, many cores: a supervisor, and workers that share nothing but the disk, and what is behind it.
 *
 *     supervisor ─┬─ worker 0   HTTP, syslog over TCP, TLS and sockets, GELF over TCP
 *                 │             and, of all workers, it alone: what comes as datagrams, forwarded events, storage jobs
 *                 ├─ worker 1   HTTP, syslog over TCP, TLS and sockets, GELF over TCP
 *                 └─ …
 *
 * The supervisor holds the sockets that are listened on (`node:cluster`), and each worker accepts from them: whoever waits
 * to be accepted is not reset when a worker dies. (Where the supervisor accepts, and hands connections out in turn, one
 * that is on its way to a worker that is killed is neither answered nor closed.) Sockets that systemd holds are handed down
 * to each worker (sockets.ts).
 *
 * - **Datagrams** have no connection to keep their order by, so one worker reads them.
 * - **Forwarded events** that a client repeats are recognised by their chunk, which one worker remembers.
 * - **Spool, dead letters, embedded store**: each worker has a directory, a file, a connection of its own, as two
 *   processes on one data folder have (ingest/spool/spool.ts says who races with whom).
 * - **Upload sessions** are on disk or in the bucket, so each request of a push may come to another worker.
 * - **Bounds** of the spool, of connections and of failed log-ins hold for all together: each worker has its part. Bounds
 *   of memory are each worker's.
 *
 * At SIGHUP workers are replaced by such with the configuration, and the program, of that moment. The new ones are up
 * before the old ones are told to end. Both have the same listening sockets meanwhile, so nobody is refused.
 */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { StartError } from '../start-error.ts';
import { Inquiry } from './inquiry.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { type GivenSocket, stdioOf } from './sockets.ts';

/** What workers are started with. */
export interface CrewOptions {
  /** The configuration's file, if `--config` named one. */
  readonly file: string | undefined;
  readonly count: number;
}

/** Where a worker listens, and who gets in. */
export type Running = Extract<FromWorker, { kind: 'ready' }>['running'];

/** A worker that died sooner than this after its start is not replaced at once, but after pauses that grow. In ms. */
const youth = 5000;
const longestPause = 10_000;

/** One worker, and its place. */
interface Member {
  readonly worker: Worker;
  readonly slot: number;
  readonly startedAt: number;
  ready: boolean;
  /** It was told to end. */
  ending: boolean;
}

/** Workers that run, and are replaced when they die. Disposing lets them finish what they do. */
export class Supervisor implements AsyncDisposable {
  readonly #log: Logger;
  readonly #sockets: readonly GivenSocket[];
  readonly #members = new Set<Member>();
  readonly #inquiry: Inquiry;
  readonly #ending = new AbortController();
  /** Undefined: no worker has orders yet. */
  #options: CrewOptions | undefined;
  /** A worker without orders. */
  #prepared: Worker | undefined;
  #deaths = 0;
  /** Deaths in youth, one after another. */
  #failures = 0;

  constructor(sockets: readonly GivenSocket[], log: Logger) {
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    this.#sockets = sockets;
    this.#log = log;
    this.#inquiry = new Inquiry(() => [...this.#members].filter(({ ready }) => ready).map(({ worker }) => worker));
  }

  /** Has the first worker load its program, which takes long, ahead of its start. */
  prepare(): void {
    this.#prepared = this.#fork();
  }

  /** Starts the first workers. @throws {StartError} they cannot start as they are configured */
  async start(options: CrewOptions): Promise<Running> {
    this.#options = options;
    return this.#startAll(options);
  }

  /** Replaces all workers. @throws {StartError} the new ones cannot start; the old ones go on */
  async replace(options: CrewOptions): Promise<void> {
    const [old, before] = [[...this.#members], this.#options];
    this.#options = options;
    try {
      await this.#startAll(options);
    } catch (error) {
      this.#options = before;
      await this.#end([...this.#members].filter((member) => !old.includes(member)));
      throw error;
    }
    await this.#end(old);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    this.#prepared?.process.kill('SIGKILL');
    await this.#end([...this.#members]);
  }

  /** The first one makes what is not there yet, and finds out what is wrong. */
  async #startAll(options: CrewOptions): Promise<Running> {
    const running = await this.#start(options, 0);
    const others = Array.from({ length: options.count - 1 }, (_, place) => this.#start(options, place + 1));
    await Promise.all(others);
    return running;
  }

  #fork(): Worker {
    const exec = join(import.meta.dirname, 'worker.ts');
    cluster.setupPrimary({ exec, args: [], stdio: stdioOf(this.#sockets) });
    const worker = cluster.fork();
    // What is sent to one that has died fails; its exit tells all.
    worker.on('error', () => undefined);
    return worker;
  }

  async #start({ file, count }: CrewOptions, slot: number): Promise<Running> {
    const worker = this.#prepared?.isDead() === false ? this.#prepared : this.#fork();
    this.#prepared = undefined;
    const member: Member = { worker, slot, startedAt: performance.now(), ready: false, ending: false };
    this.#members.add(member);
    const ready = Promise.withResolvers<Running>();
    worker.on('message', (message: FromWorker) => this.#hear(member, message, ready));
    worker.once('exit', (code, signal) => {
      this.#members.delete(member);
      this.#inquiry.forget(worker);
      if (member.ready) return this.#lose(member, code, signal);
      // What it said at last may come after its exit.
      const fail = (): void =>
        ready.reject(new StartError(`a worker ended while it started, ${outcome(code, signal)}`));
      if (worker.isConnected()) worker.once('disconnect', fail);
      else fail();
    });
    const orders = { slot, count, sockets: this.#sockets, ...(file !== undefined && { file }) };
    tell(worker, { kind: 'start', orders });
    return ready.promise;
  }

  #hear(member: Member, message: FromWorker, ready: PromiseWithResolvers<Running>): void {
    const { worker } = member;
    switch (message.kind) {
      case 'ready':
        member.ready = true;
        return ready.resolve(message.running);
      case 'failed':
        ready.reject(new StartError(message.message));
        if (member.ending)
          this.#log.error({ worker: member.slot, reason: message.message }, 'a worker did not end well');
        return undefined;
      case 'ask':
        void this.#inquiry.ask(message.question).then((answers) => {
          const crew = {
            workers: [...this.#members].filter(({ ready, ending }) => ready && !ending).length,
            deaths: this.#deaths,
          };
          tell(worker, { kind: 'answers', id: message.id, answers, crew });
        });
        return;
      case 'answer':
        return this.#inquiry.hear(worker, message.id, message.answer);
    }
  }

  /** A worker that ran has ended. */
  #lose({ slot, startedAt, ending }: Member, code: number | null, signal: string | null): void {
    if (ending || this.#ending.signal.aborted) return;
    this.#deaths += 1;
    this.#failures = performance.now() - startedAt < youth ? this.#failures + 1 : 0;
    this.#log.error({ worker: slot }, `a worker died, ${outcome(code, signal)}; another takes its place`);
    void this.#restart(slot);
  }

  async #restart(slot: number): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const pause = this.#failures === 0 ? 0 : Math.min(250 * 2 ** (this.#failures - 1), longestPause);
      await sleep(pause, undefined, { signal: this.#ending.signal }).catch(() => undefined);
      const options = this.#options;
      if (options === undefined || slot >= options.count) return;
      if (this.#ending.signal.aborted || this.#isFilled(slot)) return;
      try {
        await this.#start(options, slot);
        return;
      } catch (error) {
        this.#failures += 1;
        this.#log.error({ worker: slot, err: error }, 'a worker cannot start; it is tried again');
      }
    }
  }

  /** Whether workers were replaced while one was missing. */
  #isFilled(slot: number): boolean {
    return [...this.#members].some((member) => member.slot === slot && !member.ending);
  }

  async #end(members: readonly Member[]): Promise<void> {
    await Promise.all(
      members.map(async (member) => {
        member.ending = true;
        if (member.worker.isDead()) return;
        const exit = once(member.worker, 'exit');
        tell(member.worker, { kind: 'end' });
        await exit;
      }),
    );
  }
}

function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message);
}

function outcome(code: number | null, signal: string | null): string {
  return signal === null ? `with the exit code ${code}` : `killed by ${signal}`;
}
