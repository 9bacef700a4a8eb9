import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import type { Source } from '../block.ts';
import { plainAddress } from '../parse/tagger.ts';
import type { Budget } from './budget.ts';
import { Connection, type ConnectionCounters, type ConnectionOptions } from './connection.ts';
import type { Fairness } from './fairness.ts';
import { takeProxyHeader } from './greeting.ts';
import type { Listener, ListenerOptions } from './listener.ts';
import type { Peer } from './proxy-protocol.ts';
import { Rarely } from '../rarely.ts';
import type { Holder, Rests } from './rests.ts';

/** What a listener of connections needs. Sizes in bytes, times in ms; what is optional has a default. */
export interface StreamListenerOptions extends ListenerOptions {
  /** The memory of all unfinished frames; one for all listeners. */
  readonly rests: Rests;
  /** The memory of what all connections have uncommitted; while it is exceeded, none is read. One for all listeners. */
  readonly budget: Budget;
  /** Who waits while the spool fills up; one for all listeners. */
  readonly fairness: Fairness;
  /** Whether an address is that of a proxy, whose connections begin with a PROXY header. */
  readonly isProxy: (address: string) => boolean;
  /** A connection that says nothing for so long is reset; Docker's driver then connects again. 24 hours. */
  readonly silence?: number;
  /** A connection whose uncommitted blocks take more memory is not read. 4 MiB. */
  readonly window?: number;
  /** How long a PROXY header may take. 5 seconds. */
  readonly headerTimeout?: number;
  /** Connections whose header or handshake is awaited; with more the one that took the longest is reset. 512. */
  readonly maxGreetings?: number;
}

/** How a kind of connection differs from others. */
export interface StreamKind {
  /** The listener's name in receipts. */
  readonly name: string;
  /** Where its peers have no address: the machine that they are on. */
  readonly machine?: string;
  /** Makes the connection secure, or sure of who is there. @throws {GreetingError} why it is none */
  readonly secure?: (socket: Socket) => Promise<Socket>;
  /** How long that may take, in ms. */
  readonly secureTimeout?: number;
  /** Reads what it brings; syslog unless given. */
  readonly read?: (options: ConnectionOptions) => StreamConnection;
  /** What else is counted. */
  readonly counters?: Readonly<Record<string, number>>;
}

/** One that was accepted. */
export interface StreamConnection extends Holder {
  /** Resolves when the socket is closed, and all that it brought is committed. */
  readonly done: Promise<void>;
  /** Reads on until nothing came for `silence` ms, or `deadline` (of `performance.now()`) is over; then commits and resets. */
  drain(silence: number, deadline: number): Promise<void>;
}

/** How long a connection must be silent until it is reset when the listener ends. */
const drainSilence = 1000;

/** Takes the connections of a server to the spool: who they are from, whether they may be, and then what they bring. */
export class StreamListener implements Listener {
  readonly #server: Server;
  readonly #options: StreamListenerOptions;
  readonly #kind: StreamKind;
  readonly #connections = new Set<StreamConnection>();
  /** Sockets whose header or handshake is awaited, oldest first. */
  readonly #greeting = new Set<Socket>();
  readonly #stop = new AbortController();
  readonly #told: Rarely;
  readonly #counts: ConnectionCounters & { accepted: number; refused: number } = {
    accepted: 0,
    refused: 0,
    bytes: 0,
    badCounts: 0,
    cutFrames: 0,
    lostBytes: 0,
  };
  #drained: Promise<void> | undefined;

  constructor(server: Server, options: StreamListenerOptions, kind: StreamKind) {
    this.#server = server;
    this.#options = options;
    this.#kind = kind;
    this.#told = new Rarely(options.log);
    server.on('connection', (socket) => void this.#accept(socket));
    // Once it listens, what fails is a single accept, such as for want of file descriptors.
    server.once('listening', () =>
      server.on('error', (error) =>
        this.#told.warn('accept', { reason: error.message }, 'a connection was not accepted'),
      ),
    );
  }

  get counters(): Readonly<Record<string, number>> {
    return { ...this.#counts, ...this.#kind.counters, connections: this.#connections.size };
  }

  drain(grace: number): Promise<void> {
    this.#drained ??= this.#drain(grace);
    return this.#drained;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  async #accept(socket: Socket): Promise<void> {
    // Until it is a connection's, and of one that is secured even then, an error only means that it closes.
    socket.on('error', () => undefined);
    const { remoteAddress: address } = socket;
    using places = new DisposableStack();
    try {
      const taken = await this.#greet(socket, places);
      if (taken === undefined) return this.#refuse(socket);
      this.#take(taken.socket, socket, taken.peer, places.move());
    } catch (error) {
      this.#refuse(socket);
      const reason = error instanceof Error ? error.message : String(error);
      const fields = { listener: this.#kind.name, ...(address !== undefined && { address }), reason };
      this.#told.warn(reason, fields, 'a connection was refused');
    }
  }

  /** Finds out whom a connection is from, and secures it. Undefined: it may not be. @throws {GreetingError} it is none */
  async #greet(
    socket: Socket,
    places: DisposableStack,
  ): Promise<{ readonly socket: Socket; readonly peer: Peer | undefined } | undefined> {
    const { gate, isProxy, headerTimeout = 5000 } = this.#options;
    const { remoteAddress, remotePort } = socket;
    const near =
      remoteAddress === undefined || remotePort === undefined
        ? undefined
        : { address: plainAddress(remoteAddress), port: remotePort };
    // It was gone before it was accepted; a unix socket has no address.
    if (near === undefined && this.#kind.machine === undefined) return undefined;
    // It was accepted as the listener ended.
    if (this.#drained !== undefined) return undefined;
    const place = gate.enter(near?.address);
    if (place === undefined) return undefined;
    places.use(place);
    const isFromProxy = near !== undefined && isProxy(near.address);
    const header = isFromProxy ? await this.#await(socket, headerTimeout, takeProxyHeader(socket)) : undefined;
    const peer = header?.peer ?? near;
    if (peer !== undefined) {
      if (!gate.allows(peer.address)) return undefined;
      // Where the proxy does not say, all that it brings would count as from one.
      if (!isFromProxy || header?.peer !== undefined) {
        const placeFrom = gate.enterFrom(peer.address);
        if (placeFrom === undefined) return undefined;
        places.use(placeFrom);
      }
    }
    const { secure, secureTimeout = 10_000 } = this.#kind;
    return { socket: secure === undefined ? socket : await this.#await(socket, secureTimeout, secure(socket)), peer };
  }

  /** Waits for a step of a greeting; of too many the oldest is reset, and what takes too long. */
  async #await<T>(socket: Socket, ms: number, step: Promise<T>): Promise<T> {
    const { maxGreetings = 512 } = this.#options;
    this.#greeting.add(socket);
    const [oldest] = this.#greeting;
    if (this.#greeting.size > maxGreetings) oldest?.destroy();
    const timer = setTimeout(() => socket.destroy(), ms);
    try {
      return await step;
    } finally {
      clearTimeout(timer);
      this.#greeting.delete(socket);
    }
  }

  #refuse(socket: Socket): void {
    this.#counts.refused += 1;
    this.#reset(socket);
  }

  #take(socket: Socket, raw: Socket, peer: Peer | undefined, places: DisposableStack): void {
    const { spool, maxFrame, window = 4 * 1024 * 1024, silence = 24 * 3600 * 1000, log, clusterOf } = this.#options;
    const { rests, budget, fairness } = this.#options;
    const { name, machine, read = (options) => new Connection(options) } = this.#kind;
    const cluster = peer && clusterOf(peer.address);
    const source: Source = {
      listener: name,
      connection: randomBytes(16).toString('hex'),
      ...(peer ? { peer } : machine !== undefined && { machine }),
      ...(cluster !== undefined && { cluster }),
    };
    this.#counts.accepted += 1;
    const end = (): void => {
      this.#reset(raw);
      // What secures a socket does not always notice its end.
      socket.destroy();
    };
    socket.setTimeout(silence, end);
    const load = fairness.add();
    const connection = read({
      socket,
      source,
      spool,
      maxFrame,
      window,
      budget,
      load,
      fairness,
      counters: this.#counts,
      log,
      signal: this.#stop.signal,
      onHeld: (change) => rests.changed(change),
      onRefused: (reason) => {
        this.#told.warn(
          reason,
          { listener: name, ...(peer && { address: peer.address }), reason },
          'a connection was refused',
        );
        this.#counts.refused += 1;
        end();
      },
      reset: end,
    });
    places.defer(() => {
      this.#connections.delete(connection);
      rests.remove(connection);
      fairness.remove(load);
    });
    this.#connections.add(connection);
    rests.add(connection);
    void connection.done.then(() => places.dispose());
    if (this.#drained !== undefined) void connection.drain(0, 0);
  }

  async #drain(grace: number): Promise<void> {
    const deadline = performance.now() + grace;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#greeting) this.#reset(socket);
    // A spool that stays full must not hold up the end.
    const timer = setTimeout(() => this.#stop.abort(), grace + drainSilence);
    await Promise.all([...this.#connections].map((connection) => connection.drain(drainSilence, deadline)));
    await Promise.all([...this.#connections].map(({ done }) => done));
    clearTimeout(timer);
    await closed;
  }

  /**
   * After a FIN Docker's driver would lose its next line; after a reset it connects again, and sends it again. A unix
   * socket has no reset: there a write to what was closed fails at once.
   */
  #reset(socket: Socket): void {
    if (this.#kind.machine === undefined) socket.resetAndDestroy();
    else socket.destroy();
  }
}
