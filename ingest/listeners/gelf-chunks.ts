import { gunzipSync, inflateSync } from 'node:zlib';
import { overhead } from './budget.ts';

/** Bounds of chunked messages; those of 128 chunks and 5 seconds are GELF's own ("GELF via UDP"). Bytes and ms. */
const mostChunks = 128;
const patience = 5000;
/** Of all senders, and of each address: one alone must not push out what others began. */
const mostMessages = 1000;
const mostHeld = 16 * 1024 * 1024;
const mostMessagesOfOne = mostMessages / 4;
const mostHeldOfOne = mostHeld / 4;
/** Behind its mark a chunk has an id of 8 bytes, its place, and how many there are. */
const headLength = 12;
/** How many times as large as it came a message of more than `small` bytes may become by inflation. */
const mostSwelling = 250;
const small = 64 * 1024;

/** A message of which not all chunks have come. */
interface Unfinished {
  readonly chunks: (Buffer | undefined)[];
  readonly since: number;
  readonly sender: Sender;
  missing: number;
  size: number;
}

/** An address, and what it has begun, in the order of the first chunks. */
interface Sender {
  readonly address: string;
  readonly unfinished: Map<string, Unfinished>;
  held: number;
}

/** Makes messages of GELF's datagrams: joins those that are chunks of one, and inflates those that are compressed. */
export class GelfDatagrams {
  readonly #longest: number;
  readonly #now: () => number;
  /** In the order of their first chunks. */
  readonly #unfinished = new Map<string, Unfinished>();
  readonly #senders = new Map<string, Sender>();
  #held = 0;
  readonly #counts = { chunks: 0, badDatagrams: 0, unfinishedMessages: 0 };

  /** `longest`: bytes of a message. `now`: a clock in ms. */
  constructor(longest: number, now: () => number = () => performance.now()) {
    this.#longest = longest;
    this.#now = now;
  }

  /** The memory of chunks that wait for others, in bytes. */
  get held(): number {
    return this.#held;
  }

  /** Messages that were given up because chunks were missing are counted when another chunk comes. */
  get counters(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  /**
   * The message that a datagram is, or ends; undefined: there is none yet, or it is none. `address`: whom it is from.
   */
  take(datagram: Buffer, address: string): Buffer | undefined {
    const isChunk = datagram[0] === 0x1e && datagram[1] === 0x0f;
    const whole = isChunk ? this.#join(datagram, address) : datagram;
    if (whole === undefined) return undefined;
    const message = this.#inflate(whole);
    if (message === undefined || message.length === 0) this.#counts.badDatagrams += 1;
    return message?.length === 0 ? undefined : message;
  }

  #join(chunk: Buffer, address: string): Buffer | undefined {
    const [place = 0, count = 0] = [chunk[10], chunk[11]];
    if (chunk.length <= headLength || count > mostChunks || place >= count) {
      this.#counts.badDatagrams += 1;
      return undefined;
    }
    this.#counts.chunks += 1;
    this.#giveUp(this.#unfinished, ({ since }) => this.#now() - since > patience);
    const sender: Sender = this.#senders.get(address) ?? { address, unfinished: new Map(), held: 0 };
    const key = `${address} ${chunk.toString('hex', 2, 10)} ${count}`;
    const message = sender.unfinished.get(key) ?? {
      chunks: Array.from<Buffer | undefined>({ length: count }),
      since: this.#now(),
      sender,
      missing: count,
      size: 0,
    };
    if (message.chunks[place] !== undefined) return undefined;
    const content = chunk.subarray(headLength);
    const cost = content.length + overhead;
    message.chunks[place] = content;
    message.missing -= 1;
    message.size += cost;
    sender.held += cost;
    this.#held += cost;
    sender.unfinished.set(key, message);
    this.#senders.set(address, sender);
    this.#unfinished.set(key, message);
    if (message.missing === 0) {
      this.#forget(key, message);
      return Buffer.concat(message.chunks.filter((part) => part !== undefined));
    }
    const { unfinished } = sender;
    this.#giveUp(unfinished, () => sender.held > mostHeldOfOne || unfinished.size > mostMessagesOfOne);
    this.#giveUp(this.#unfinished, () => this.#held > mostHeld || this.#unfinished.size > mostMessages);
    return undefined;
  }

  /** Gives up messages, oldest first, as long as something holds. */
  #giveUp(messages: ReadonlyMap<string, Unfinished>, holds: (message: Unfinished) => boolean): void {
    for (const [key, message] of messages) {
      if (!holds(message)) return;
      this.#forget(key, message);
      this.#counts.unfinishedMessages += 1;
    }
  }

  #forget(key: string, { sender, size }: Unfinished): void {
    this.#unfinished.delete(key);
    this.#held -= size;
    sender.unfinished.delete(key);
    sender.held -= size;
    if (sender.unfinished.size === 0) this.#senders.delete(sender.address);
  }

  /** By its first bytes: gzip (RFC 1952 section 2.3.1), zlib (RFC 1950 section 2.2), or neither. */
  #inflate(bytes: Buffer): Buffer | undefined {
    const [first = 0, second = 0] = bytes;
    const isGzip = first === 0x1f && second === 0x8b;
    const isZlib = (first & 15) === 8 && (first * 256 + second) % 31 === 0;
    if (!isGzip && !isZlib) return bytes.length > this.#longest ? undefined : bytes;
    const maxOutputLength = Math.min(this.#longest, Math.max(small, bytes.length * mostSwelling));
    try {
      return isGzip ? gunzipSync(bytes, { maxOutputLength }) : inflateSync(bytes, { maxOutputLength });
    } catch {
      return undefined;
    }
  }
}
