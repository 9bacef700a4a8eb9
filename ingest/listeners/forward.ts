import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { encode } from '@msgpack/msgpack';
import { BoundedMap } from '../parse/bounded-map.ts';
import {
  endsOfEvents,
  type EventRun,
  type ForwardMessage,
  joinEvents,
  readForwardMessage,
} from '../parse/forward-message.ts';
import { ValueScanner } from '../parse/msgpack-scan.ts';
import type { Budget } from './budget.ts';
import type { Listener, NetworkListener } from './listener.ts';
import { MessageConnection, type Protocol, type Taken } from './message-connection.ts';
import { Rarely } from '../rarely.ts';
import { Rest } from './rest.ts';
import { shakeHands } from './forward-handshake.ts';
import type { StreamKind, StreamListenerOptions } from './stream.ts';
import { createTcpServer, openMessageListener, type TcpListenerOptions } from './tcp.ts';
import { openSecureListener, type TlsListener, type TlsListenerOptions } from './tls.ts';
import { openUnixListener } from './unix.ts';

/** The longest message, and the longest that the events of a compressed one may become, in bytes. */
const [longestMessage, longestInflated] = [16 * 1024 * 1024, 32 * 1024 * 1024];
/** How many times as large as they came compressed events of more than `smallEvents` bytes may become. */
const mostSwelling = 250;
const smallEvents = 1024 * 1024;
/** How much memory a byte of events takes, at most, until it is durable. */
const memory = 4;
/** With events that take as much, what came is made durable before more of it is read: else a few KiB could become GiB. */
const largestBatch = 16 * 1024 * 1024;
/** Chunks that are remembered, so that whoever sends one again, because the answer was lost, is only answered. */
const mostChunks = 10_000;

const inflate = promisify(gunzip);
const nil = 0xc0;

/** With a key, each connection begins with a handshake. */
interface KeyOptions {
  readonly sharedKey?: string;
}

/**
 * Listens for the forward protocol over TCP.
 * @throws the system's error where it cannot listen there.
 */
export function openForwardListener(options: TcpListenerOptions & KeyOptions): Promise<NetworkListener> {
  return openMessageListener(options, kindOf('forward', options));
}

/**
 * Listens for it over TLS.
 * @throws {CertificateError} the certificate cannot be used, or the system's error where it cannot listen there.
 */
export function openForwardTlsListener(options: TlsListenerOptions & KeyOptions): Promise<TlsListener> {
  const server = createTcpServer({ allowHalfOpen: true });
  return openSecureListener(server, options, kindOf('forward-tls', options));
}

/**
 * Listens for it on a unix stream socket.
 * @throws the system's error where it cannot listen there.
 */
export function openForwardUnixListener(options: StreamListenerOptions & { readonly path: string }): Promise<Listener> {
  return openUnixListener(options, kindOf('forward-unix', options));
}

function kindOf(name: string, { log, sharedKey }: Pick<StreamListenerOptions, 'log'> & KeyOptions): StreamKind {
  const counters = { badMessages: 0 };
  const told = new Rarely(log);
  const chunks = new BoundedMap<string, true>(mostChunks);
  return {
    name,
    counters,
    ...(sharedKey !== undefined && {
      secure: async (socket) => {
        await shakeHands(socket, sharedKey);
        return socket;
      },
    }),
    read(connection) {
      const address = connection.source.peer?.address ?? '';
      const onBadMessage = (reason: string): void => {
        counters.badMessages += 1;
        told.warn(reason, { listener: name, address, reason }, 'a message was left out');
      };
      return new MessageConnection(
        connection,
        new ForwardProtocol(address, { budget: connection.budget, chunks, onBadMessage }),
      );
    },
  };
}

/** What the connections of a listener have in common. */
export interface ForwardContext {
  /** The memory that messages take until they are durable, over all connections. */
  readonly budget: Budget;
  /** Called for a message that is none: it is left out, and not answered. */
  readonly onBadMessage: (reason: string) => void;
  /** Chunks that are durable, as the hash of who sent what. */
  readonly chunks: BoundedMap<string, true>;
}

/**
 * The forward protocol of fluentd ("Forward Protocol Specification v1") behind its handshake: messages in msgpack,
 * which are answered once they are durable, where the sender names a chunk. What came a second time, from the same
 * address and to the byte the same, is only answered.
 */
export class ForwardProtocol implements Protocol {
  readonly #context: ForwardContext;
  readonly #address: string;
  readonly #rest = new Rest();
  #scanner = new ValueScanner();

  /** `address`: whom it is from. */
  constructor(address: string, context: ForwardContext) {
    this.#address = address;
    this.#context = context;
  }

  get held(): number {
    return this.#rest.capacity;
  }

  async push(chunk: Uint8Array): Promise<Taken> {
    this.#rest.add(chunk);
    const { bytes } = this.#rest;
    const batch = new Batch(this.#context);
    let [at, broken] = [0, ''];
    while (!batch.full) {
      const end = this.#scanner.scan(bytes);
      if (end === 'bad') broken = 'what it sends is no msgpack';
      else if (end === 'more' && bytes.length - at > longestMessage)
        broken = `a message has over ${longestMessage} bytes`;
      if (typeof end === 'string') break;
      if (bytes[at] !== nil) await this.#take(bytes.subarray(at, end), batch);
      this.#scanner = new ValueScanner(end);
      at = end;
    }
    if (at > 0) {
      this.#rest.set(broken === '' ? bytes.subarray(at) : new Uint8Array(0));
      this.#scanner = new ValueScanner();
    }
    return { ...batch.taken(), ...(broken !== '' && { broken }), more: batch.full };
  }

  /** A message that is not whole was not answered: whoever wants to be sure sends it again. */
  end(): Taken {
    this.#rest.set(new Uint8Array(0));
    return { pieces: [] };
  }

  async #take(bytes: Uint8Array, batch: Batch): Promise<void> {
    const { onBadMessage, chunks } = this.#context;
    const message = readForwardMessage(bytes);
    if (message === undefined) return onBadMessage('it is none of the forward protocol');
    const { chunk } = message;
    const key =
      chunk === undefined ? undefined : createHash('sha256').update(`${this.#address}\n`).update(bytes).digest('hex');
    if (key !== undefined && chunk !== undefined && chunks.get(key)) return batch.answer(chunk);
    const failure = await batch.add(message);
    if (failure !== undefined) return onBadMessage(failure);
    if (chunk !== undefined && key !== undefined) batch.answer(chunk, key);
  }
}

/** The messages that a chunk of a connection ended. */
class Batch {
  readonly #context: ForwardContext;
  /** Events one behind the other, as long as they have the same tag. */
  readonly #tagged: { readonly tag: Uint8Array; readonly runs: EventRun[] }[] = [];
  readonly #answers: Uint8Array[] = [];
  readonly #keys: string[] = [];
  #cost = 0;

  constructor(context: ForwardContext) {
    this.#context = context;
  }

  get full(): boolean {
    return this.#cost >= largestBatch;
  }

  /** Adds the events of a message. @returns why it cannot */
  async add({ tag, events, compressed }: ForwardMessage): Promise<string | undefined> {
    const most = Math.min(longestInflated, Math.max(smallEvents, events.length * mostSwelling));
    const expected = compressed ? most : memory * events.length;
    await this.#afford(expected);
    const plain = compressed ? await inflate(events, { maxOutputLength: most }).catch(() => undefined) : events;
    this.#spend(memory * (plain?.length ?? 0) - expected);
    if (plain === undefined) return `its events are no gzip, or become over ${most} bytes`;
    const ends = endsOfEvents(plain);
    if (ends === undefined) return 'its events are none';
    if (ends.length === 0) return undefined;
    const run = { events: plain, ends };
    const last = this.#tagged.at(-1);
    if (last !== undefined && Buffer.compare(last.tag, tag) === 0) last.runs.push(run);
    else this.#tagged.push({ tag, runs: [run] });
    return undefined;
  }

  /** Answers a chunk, which is known by a key once it is durable. */
  answer(chunk: string, key?: string): void {
    this.#answers.push(encode({ ack: chunk }));
    if (key !== undefined) this.#keys.push(key);
  }

  taken(): Taken {
    return {
      pieces: this.#tagged.map(({ tag, runs }) => ({ kind: 'forward', flags: {}, payload: joinEvents(tag, runs) })),
      answers: this.#answers,
      settled: (durable) => {
        this.#context.budget.give(this.#cost);
        if (durable) for (const key of this.#keys) this.#context.chunks.set(key, true);
      },
    };
  }

  /** Waits until there is memory, unless it has some already: else two could wait for each other. */
  async #afford(bytes: number): Promise<void> {
    const { budget } = this.#context;
    if (this.#cost === 0 && budget.exceeded) await new Promise<void>((resolve) => budget.wait(resolve));
    this.#spend(bytes);
  }

  #spend(bytes: number): void {
    const { budget } = this.#context;
    if (bytes > 0) budget.take(bytes);
    else budget.give(-bytes);
    this.#cost += bytes;
  }
}
