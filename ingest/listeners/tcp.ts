import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Source } from '../block.ts';
import { plainAddress } from '../parse/tagger.ts';
import { Budget } from './budget.ts';
import { Connection, type ConnectionCounters } from './connection.ts';
import type { ListenAddress, Listener, ListenerOptions } from './listener.ts';

/** Bounds of a TCP listener, each with a default. Sizes in bytes, times in ms. */
export interface TcpListenerOptions extends ListenerOptions {
  /** Connections at once, with those whose bytes are not committed yet; more are reset. 10,000. */
  readonly maxConnections?: number;
  /** A connection that says nothing for so long is reset; Docker's driver then connects again. 24 hours. */
  readonly silence?: number;
  /** The memory of all unfinished frames; beyond it the largest is cut. 64 MiB. */
  readonly restBudget?: number;
  /** A connection with more uncommitted bytes is not read. 4 MiB. */
  readonly window?: number;
  /** With more uncommitted bytes of all connections together none is read. 128 MiB. */
  readonly windowBudget?: number;
}

/** After so many ms of silence the kernel asks whether the peer is still there. */
const keepAlive = 60_000;
/** How long a connection must be silent until it is reset when the listener ends. */
const drainSilence = 1000;
/** How often it is told that connections are refused, at most. */
const refusalNotes = 5000;

/**
 * Syslog over TCP (RFC 6587): octet counting or LF, decided for each connection.
 * @throws the system's error where it cannot listen there.
 */
export async function openTcpListener(options: TcpListenerOptions): Promise<Listener> {
  const server = createServer({ keepAlive: true, keepAliveInitialDelay: keepAlive });
  const listener = new TcpListener(server, options);
  server.listen({ host: options.listen.host, port: options.listen.port, backlog: 1024 });
  await once(server, 'listening');
  return listener;
}

class TcpListener implements Listener {
  readonly #server: Server;
  readonly #options: TcpListenerOptions;
  readonly #connections = new Set<Connection>();
  readonly #stop = new AbortController();
  readonly #budget: Budget;
  #held = 0;
  #refusalToldAt = -Infinity;
  readonly #counts: ConnectionCounters & { accepted: number; refused: number } = {
    accepted: 0,
    refused: 0,
    bytes: 0,
    badCounts: 0,
    cutFrames: 0,
    lostBytes: 0,
  };
  #drained: Promise<void> | undefined;

  constructor(server: Server, options: TcpListenerOptions) {
    this.#server = server;
    this.#options = options;
    this.#budget = new Budget(options.windowBudget ?? 128 * 1024 * 1024);
    server.on('connection', (socket) => this.#accept(socket));
  }

  get address(): ListenAddress {
    const bound = this.#server.address();
    return typeof bound === 'object' && bound !== null
      ? { host: bound.address, port: bound.port }
      : this.#options.listen;
  }

  get counters(): Readonly<Record<string, number>> {
    return { ...this.#counts, connections: this.#connections.size };
  }

  drain(grace: number): Promise<void> {
    this.#drained ??= this.#drain(grace);
    return this.#drained;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  #accept(socket: Socket): void {
    const { remoteAddress, remotePort } = socket;
    // It was gone before it was accepted.
    if (remoteAddress === undefined || remotePort === undefined) return void socket.destroy();
    const { maxConnections = 10_000 } = this.#options;
    if (this.#connections.size >= maxConnections) return this.#refuse(socket, remoteAddress, maxConnections);
    const { spool, maxFrame, window = 4 * 1024 * 1024, silence = 24 * 3600 * 1000, log, clusterOf } = this.#options;
    const peer = { address: plainAddress(remoteAddress), port: remotePort };
    const cluster = clusterOf(peer.address);
    const connection = randomBytes(16).toString('hex');
    const source: Source = { listener: 'syslog-tcp', connection, peer, ...(cluster !== undefined && { cluster }) };
    this.#counts.accepted += 1;
    socket.setTimeout(silence, () => socket.resetAndDestroy());
    const taken = new Connection({
      socket,
      source,
      spool,
      maxFrame,
      window,
      budget: this.#budget,
      counters: this.#counts,
      log,
      signal: this.#stop.signal,
      onHeld: (change) => this.#keepBudget(change),
    });
    this.#connections.add(taken);
    void taken.done.then(() => this.#connections.delete(taken));
  }

  /** By a reset: after a FIN Docker's driver would lose its next line. */
  #refuse(socket: Socket, address: string, maxConnections: number): void {
    this.#counts.refused += 1;
    socket.resetAndDestroy();
    if (performance.now() < this.#refusalToldAt + refusalNotes) return;
    this.#refusalToldAt = performance.now();
    const { refused } = this.#counts;
    this.#options.log.warn({ address, maxConnections, refused }, 'a connection was refused: there are too many');
  }

  /** Cuts the largest unfinished frames until the rest fits. */
  #keepBudget(change: number): void {
    const { restBudget = 64 * 1024 * 1024 } = this.#options;
    this.#held += change;
    // What a cut frees is told here too.
    if (change <= 0) return;
    while (this.#held > restBudget) {
      const before = this.#held;
      const [first, ...others] = this.#connections;
      if (first === undefined) return;
      others.reduce((largest, other) => (other.held > largest.held ? other : largest), first).cut();
      if (this.#held >= before) return;
    }
  }

  async #drain(grace: number): Promise<void> {
    const deadline = performance.now() + grace;
    const closed = once(this.#server, 'close');
    this.#server.close();
    // A spool that stays full must not hold up the end.
    const timer = setTimeout(() => this.#stop.abort(), grace + drainSilence);
    await Promise.all([...this.#connections].map((connection) => connection.drain(drainSilence, deadline)));
    await Promise.all([...this.#connections].map(({ done }) => done));
    clearTimeout(timer);
    await closed;
  }
}
