import type { Socket } from 'node:net';
import type { Block, Source } from '../block.ts';
import type { Log } from '../log.ts';
import { SpoolError } from '../spool/errors.ts';
import { type Budget, overhead } from './budget.ts';
import type { Fairness, Load } from './fairness.ts';
import { Framer, type Piece } from './framing.ts';
import { arrival, type ListenerOptions } from './listener.ts';
import { freeMemory } from '../memory.ts';

/** What all connections of a listener count. */
export interface ConnectionCounters {
  bytes: number;
  badCounts: number;
  cutFrames: number;
  /** Bytes that were read but not committed, because the spool closed or stayed full until the end. */
  lostBytes: number;
}

export interface ConnectionOptions {
  readonly socket: Socket;
  readonly source: Source;
  readonly spool: ListenerOptions['spool'];
  readonly maxFrame: number;
  /** While what is uncommitted takes more bytes of memory, nothing more is read. */
  readonly window: number;
  /** The same of all connections together. */
  readonly budget: Budget;
  /** Who waits while the spool fills up, and what this one brings. */
  readonly fairness: Fairness;
  readonly load: Load;
  readonly counters: ConnectionCounters;
  readonly log: Log;
  /** Aborts the waiting for a spool that is full. */
  readonly signal: AbortSignal;
  /** Told by how many bytes the memory of the unfinished frame changed. */
  readonly onHeld: (change: number) => void;
  /** Told that what comes first cannot be a sender's. */
  readonly onRefused: (reason: string) => void;
  /** Ends the socket so that its peer knows what was not read. */
  readonly reset: () => void;
}

/** A block on its way to the spool. */
interface Sent {
  /** In the order in which they came. */
  readonly place: number;
  readonly block: Block;
  /** Nothing else lies in the memory of its payload. */
  readonly alone: boolean;
}

/** From one socket to the spool, in order. It is not read while the spool is full or too much is uncommitted. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #framer: Framer;
  #uncommitted = 0;
  #underWay = 0;
  /** Blocks that the spool refused, and those after them, in the order in which they came. */
  #refused: Sent[] = [];
  #recovering = false;
  #place = 0;
  #ended = false;
  #toldHeld = 0;
  #readAt = performance.now();
  #idle = Promise.withResolvers<void>();
  /** Resolves when the socket is closed, and all that it brought is committed. */
  readonly done: Promise<void>;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { socket, source, counters, log } = options;
    this.#framer = new Framer(options.maxFrame, () => {
      counters.badCounts += 1;
      log.warn({ peer: source.peer }, 'a count is bad; the rest of this connection is read line by line');
    });
    this.#idle.resolve();
    const closed = Promise.withResolvers<void>();
    socket.on('data', this.#read);
    // What came is kept, however the connection ended.
    socket.on('error', (error) => log.info({ peer: source.peer, reason: error.message }, 'a connection broke'));
    socket.once('end', () => this.#end());
    socket.once('close', () => {
      this.#end();
      closed.resolve();
    });
    this.done = closed.promise.then(() => this.#committed());
  }

  /** Bytes of memory of the unfinished frame. */
  get held(): number {
    return this.#framer.held;
  }

  get ending(): boolean {
    return this.#ended;
  }

  /** Cuts the unfinished frame, to free its memory. */
  cut(): void {
    this.#send(this.#framer.cut());
    this.#tellHeld();
  }

  /**
   * Reads on until nothing came for `silence` ms, or `deadline` (of `performance.now()`) is over; then commits and resets.
   * What a peer that still sends has sent after the last read is lost with the reset; it is counted as far as Node read it.
   */
  async drain(silence: number, deadline: number): Promise<void> {
    const { socket } = this.#options;
    while (!this.#ended && performance.now() < deadline) {
      const left = Math.min(this.#readAt + silence, deadline) - performance.now();
      if (left > 0) await delay(left);
      else if (this.#uncommitted > 0 || socket.isPaused()) await Promise.race([this.#committed(), delay(20)]);
      else break;
    }
    this.#end();
    await this.#committed();
    const { counters } = this.#options;
    counters.bytes += socket.readableLength;
    counters.lostBytes += socket.readableLength;
    this.#options.reset();
  }

  readonly #read = (chunk: Buffer): void => {
    const { counters, load, onRefused } = this.#options;
    const { length } = chunk;
    this.#readAt = performance.now();
    counters.bytes += length;
    load.add(length);
    const pieces = this.#framer.push(chunk);
    this.#send(pieces);
    // What the framer keeps lies in memory of its own.
    if (pieces.every(({ payload }) => payload.buffer !== chunk.buffer)) freeMemory(chunk);
    this.#tellHeld();
    if (this.#framer.refused) {
      counters.lostBytes += length;
      onRefused('it is no proxy that may say for whom it sends (ingest.syslog.proxy_protocol)');
    } else {
      this.#steer();
    }
  };

  #tellHeld(): void {
    const change = this.#framer.held - this.#toldHeld;
    this.#toldHeld += change;
    if (change !== 0) this.#options.onHeld(change);
  }

  #end(): void {
    if (this.#ended) return;
    const { socket } = this.#options;
    socket.pause();
    socket.off('data', this.#read);
    // Node reads on while a socket is paused, and drops that with the socket.
    const buffered: unknown = socket.read();
    if (Buffer.isBuffer(buffered)) this.#read(buffered);
    this.#ended = true;
    socket.pause();
    this.#send(this.#framer.end());
    this.#tellHeld();
  }

  /** Stops or goes on reading. */
  readonly #steer = (): void => {
    const { socket, spool, window, budget, fairness, load } = this.#options;
    if (this.#ended || socket.destroyed) return;
    const stop = this.#refused.length > 0 || this.#recovering || spool.full;
    const heavy = !stop && fairness.mustWait(load);
    if (stop || heavy || budget.exceeded || this.#uncommitted > window) {
      socket.pause();
      if (stop) void this.#recover();
      else if (heavy) fairness.wait(load, this.#steer);
      else if (budget.exceeded) budget.wait(this.#steer);
    } else if (socket.isPaused() && this.#uncommitted <= window / 2) {
      socket.resume();
    }
  };

  #send(pieces: readonly Piece[]): void {
    const { source, counters, budget } = this.#options;
    for (const piece of pieces) {
      if (piece.flags.cut === true) counters.cutFrames += 1;
      const block: Block = { ...piece, source, arrivedAt: arrival() };
      if (this.#uncommitted === 0) this.#idle = Promise.withResolvers<void>();
      const cost = costOf(block);
      this.#uncommitted += cost;
      budget.take(cost);
      this.#place += 1;
      const sent: Sent = { place: this.#place, block, alone: pieces.length === 1 };
      if (this.#refused.length > 0 || this.#recovering) this.#refused.push(sent);
      else void this.#commit(sent);
    }
  }

  async #commit(sent: Sent): Promise<void> {
    this.#underWay += 1;
    try {
      await this.#options.spool.append(sent.block);
      this.#settle(sent);
    } catch (error) {
      if (isFinal(error)) this.#lose(sent);
      else this.#refused.push(sent);
    } finally {
      this.#underWay -= 1;
    }
    if (this.#refused.length > 0 && this.#underWay === 0) void this.#recover();
    this.#steer();
  }

  /** Waits until the spool takes blocks again, and hands it what it refused, in order. */
  async #recover(): Promise<void> {
    if (this.#recovering || this.#underWay > 0) return;
    this.#recovering = true;
    const { spool, signal } = this.#options;
    try {
      await spool.untilWritable(signal);
      for (;;) {
        this.#refused.sort((a, b) => a.place - b.place);
        const [first] = this.#refused;
        if (first === undefined) break;
        if (await this.#retry(first)) this.#refused.shift();
        else await delay(retryAfter);
        await spool.untilWritable(signal);
      }
    } catch {
      for (const sent of this.#refused.splice(0)) this.#lose(sent);
    } finally {
      this.#recovering = false;
    }
    if (!signal.aborted) this.#steer();
  }

  async #retry(sent: Sent): Promise<boolean> {
    try {
      await this.#options.spool.append(sent.block);
      this.#settle(sent);
    } catch (error) {
      if (!isFinal(error)) {
        this.#options.signal.throwIfAborted();
        return false;
      }
      this.#lose(sent);
    }
    return true;
  }

  #lose(sent: Sent): void {
    const { counters, log, source } = this.#options;
    const { length: bytes } = sent.block.payload;
    counters.lostBytes += bytes;
    log.error({ peer: source.peer, bytes }, 'what a connection brought could not be kept');
    this.#settle(sent);
  }

  #settle({ block, alone }: Sent): void {
    const cost = costOf(block);
    if (alone) freeMemory(block.payload);
    this.#uncommitted -= cost;
    this.#options.budget.give(cost);
    if (this.#uncommitted === 0) this.#idle.resolve();
  }

  /** Resolves when nothing is uncommitted. */
  async #committed(): Promise<void> {
    while (this.#uncommitted > 0) await this.#idle.promise;
  }
}

/** How long it takes until a spool that failed is asked again, in ms. */
const retryAfter = 200;

/** The memory that a block takes until it is committed, in bytes. */
function costOf({ payload }: Block): number {
  return payload.length + overhead;
}

/** The spool will never take it. */
function isFinal(error: unknown): boolean {
  return !(error instanceof SpoolError) || error.code === 'closed';
}

async function delay(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, ms);
  await promise;
}
