import { randomBytes } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { BlockKind, Source } from '../block.ts';
import { BoundedMap } from '../parse/bounded-map.ts';
import { joinDatagrams } from '../parse/frames.ts';
import { plainAddress } from '../parse/tagger.ts';
import { overhead } from './budget.ts';
import { arrival, type ListenAddress, type ListenerOptions, type NetworkListener } from './listener.ts';

/** Bounds of a UDP listener, each with a default. Sizes in bytes. */
export interface UdpListenerOptions extends ListenerOptions {
  readonly listen: ListenAddress;
  /** Memory of datagrams that may wait for their commit; beyond it they are dropped. 64 MiB. */
  readonly window?: number;
  /** The kernel's buffer; it may give less. 4 MiB. */
  readonly receiveBuffer?: number;
  /** What datagrams are that are not syslog. */
  readonly kind?: DatagramKind;
}

/** How datagrams become messages. */
export interface DatagramKind {
  /** The listener's name in receipts. */
  readonly name: string;
  readonly kind: BlockKind;
  /** The message that a datagram is, or ends; undefined: there is none. */
  readonly take: (datagram: Buffer, address: string) => Buffer | undefined;
  /** What else is counted. */
  readonly counters: Readonly<Record<string, number>>;
}

const syslog: DatagramKind = { name: 'syslog-udp', kind: 'datagrams', take: (datagram) => datagram, counters: {} };

/** Senders whose identity is kept. */
const mostSources = 10_000;

/**
 * Syslog over UDP (RFC 5426), unless the options say otherwise: a message a datagram. A datagram is no longer than
 * 64 KiB, and so never cut.
 * @throws the system's error where it cannot listen there.
 */
export async function openUdpListener(options: UdpListenerOptions): Promise<NetworkListener> {
  const { host, port, fd } = options.listen;
  const socket = createSocket({
    type: isIPv6(host) ? 'udp6' : 'udp4',
    recvBufferSize: options.receiveBuffer ?? 4 * 1024 * 1024,
  });
  const listening = once(socket, 'listening');
  const listener = new UdpListener(socket, options);
  socket.bind(fd === undefined ? { address: host, port } : { fd, exclusive: true });
  await listening;
  listener.start();
  return listener;
}

class UdpListener implements NetworkListener {
  readonly #socket: Socket;
  readonly #options: UdpListenerOptions;
  readonly #kind: DatagramKind;
  readonly #sources = new BoundedMap<string, Source>(mostSources);
  readonly #counts = { datagrams: 0, bytes: 0, droppedDatagrams: 0, droppedBytes: 0, refusedDatagrams: 0 };
  /** What came in this turn of the event loop. */
  #turn = new Map<Source, Buffer[]>();
  #waiting = 0;
  readonly #commits = new Set<Promise<void>>();
  #address: ListenAddress;
  #drained: Promise<void> | undefined;

  constructor(socket: Socket, options: UdpListenerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#kind = options.kind ?? syslog;
    this.#address = options.listen;
    socket.on('message', (message, from) => this.#receive(message, from));
  }

  start(): void {
    const { address, port } = this.#socket.address();
    this.#address = { host: address, port };
    this.#socket.on('error', (error) => this.#options.log.error({ reason: error.message }, 'the UDP socket failed'));
  }

  get address(): ListenAddress {
    return this.#address;
  }

  get counters(): Readonly<Record<string, number>> {
    return { ...this.#counts, ...this.#kind.counters };
  }

  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }

  #receive(datagram: Buffer, from: RemoteInfo): void {
    const { spool, window = 64 * 1024 * 1024 } = this.#options;
    const source = this.#sourceOf(from);
    if (source === undefined) {
      this.#counts.refusedDatagrams += 1;
      return;
    }
    this.#counts.datagrams += 1;
    this.#counts.bytes += datagram.length;
    const message = spool.full ? datagram : this.#kind.take(datagram, from.address);
    if (message === undefined) return;
    if (spool.full || this.#waiting + message.length + overhead > window) {
      this.#drop(1, message.length);
      return;
    }
    this.#waiting += message.length + overhead;
    if (this.#turn.size === 0) setImmediate(() => this.#flush());
    const datagrams = this.#turn.get(source);
    if (datagrams === undefined) this.#turn.set(source, [message]);
    else datagrams.push(message);
  }

  /** Undefined: the sender is refused. */
  #sourceOf({ address, port }: RemoteInfo): Source | undefined {
    const key = `${address} ${port}`;
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const peer = { address: plainAddress(address), port };
    if (!this.#options.gate.allows(peer.address)) return undefined;
    const cluster = this.#options.clusterOf(peer.address);
    const connection = randomBytes(16).toString('hex');
    const source: Source = { listener: this.#kind.name, connection, peer, ...(cluster !== undefined && { cluster }) };
    this.#sources.set(key, source);
    return source;
  }

  #flush(): void {
    const turn = this.#turn;
    this.#turn = new Map();
    for (const [source, datagrams] of turn) {
      const commit = this.#commit(source, datagrams).finally(() => this.#commits.delete(commit));
      this.#commits.add(commit);
    }
  }

  async #commit(source: Source, datagrams: readonly Buffer[]): Promise<void> {
    const bytes = datagrams.reduce((sum, { length }) => sum + length, 0);
    const payload = joinDatagrams(datagrams);
    try {
      await this.#options.spool.append({ kind: this.#kind.kind, source, arrivedAt: arrival(), flags: {}, payload });
    } catch (error) {
      this.#drop(datagrams.length, bytes);
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log.warn({ datagrams: datagrams.length, reason }, 'datagrams were dropped');
    } finally {
      this.#waiting -= bytes + datagrams.length * overhead;
    }
  }

  #drop(datagrams: number, bytes: number): void {
    this.#counts.droppedDatagrams += datagrams;
    this.#counts.droppedBytes += bytes;
  }

  async #drain(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
    this.#flush();
    await Promise.all(this.#commits);
  }
}
