import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Block } from '../block.ts';
import { SpoolError } from '../spool/errors.ts';
import type { ConnectionOptions } from './connection.ts';
import type { Piece } from './framing.ts';
import { arrival } from './listener.ts';
import type { StreamConnection } from './stream.ts';

/** What a protocol makes of bytes that arrived. */
export interface Taken {
  /** In the order in which they are to be kept. */
  readonly pieces: readonly Piece[];
  /** What the peer is told once they are durable. */
  readonly answers?: readonly Uint8Array[];
  /** Why the connection cannot be read on. */
  readonly broken?: string;
  /** Called when the pieces are durable, or lost. */
  readonly settled?: (durable: boolean) => void;
  /** There is more to be taken out of what arrived, once these are durable. */
  readonly more?: boolean;
}

/** How the bytes of one connection become messages. */
export interface Protocol {
  /** Bytes of memory of what is unfinished. */
  readonly held: number;
  /** Takes what arrived; the next chunk comes when this one is kept. */
  push(chunk: Uint8Array): Taken | Promise<Taken>;
  /** The connection ended: what is left of it. */
  end(): Taken;
}

/** With more bytes of answers that the peer does not read, it is none. */
const mostUnread = 1024 * 1024;
const none = Buffer.alloc(0);
/** How long it takes until a spool that failed is asked again, in ms. */
const retryAfter = 200;

/** From one socket to the spool, a chunk after the other: the next is read when what the last one held is durable. */
export class MessageConnection implements StreamConnection {
  readonly #options: ConnectionOptions;
  readonly #protocol: Protocol;
  readonly #closed: Promise<unknown>;
  #toldHeld = 0;
  #readAt = performance.now();
  #busy = false;
  readonly done: Promise<void>;

  constructor(options: ConnectionOptions, protocol: Protocol) {
    this.#options = options;
    this.#protocol = protocol;
    const { socket, source, log } = options;
    this.#closed = once(socket, 'close').catch(() => undefined);
    // What came is kept, however the connection ended.
    socket.on('error', (error) => log.info({ peer: source.peer, reason: error.message }, 'a connection broke'));
    this.done = this.#run();
  }

  get held(): number {
    return this.#protocol.held;
  }

  get ending(): boolean {
    return this.#options.socket.destroyed;
  }

  /** Too much is unfinished in all: whoever sends here must begin anew. */
  cut(): void {
    this.#options.onRefused('too much is unfinished at once');
  }

  async drain(silence: number, deadline: number): Promise<void> {
    const { socket, counters, reset } = this.#options;
    while (!socket.destroyed && performance.now() < deadline) {
      const left = Math.min(this.#readAt + silence, deadline) - performance.now();
      if (left <= 0 && !this.#busy) break;
      await sleep(Math.max(left, 20));
    }
    counters.lostBytes += socket.readableLength;
    reset();
    await this.done;
  }

  async #run(): Promise<void> {
    const { socket, counters, load, fairness, log, reset } = this.#options;
    const chunks: AsyncIterable<Buffer> = socket.iterator({ destroyOnReturn: false });
    try {
      for await (const chunk of chunks) {
        this.#readAt = performance.now();
        this.#busy = true;
        counters.bytes += chunk.length;
        load.add(chunk.length);
        for (let rest = chunk, more = true; more; rest = none) {
          const taken = await this.#protocol.push(rest);
          await this.#keep(taken);
          more = taken.more === true;
        }
        if (fairness.mustWait(load)) {
          await Promise.race([this.#closed, new Promise<void>((resolve) => fairness.wait(load, resolve))]);
        }
        this.#readAt = performance.now();
        this.#busy = false;
        if (socket.destroyed) break;
      }
    } catch (error) {
      // Else it broke, or was reset.
      if (!socket.destroyed) {
        log.error({ err: error }, 'what a connection brought could not be read');
        reset();
      }
    }
    await this.#keep(this.#protocol.end());
    socket.destroySoon();
  }

  async #keep({ pieces, answers = [], broken, settled }: Taken): Promise<void> {
    this.#tellHeld();
    const { source, socket, onRefused } = this.#options;
    const durable = await this.#commit(pieces.map((piece) => ({ ...piece, source, arrivedAt: arrival() })));
    settled?.(durable);
    if (durable) for (const answer of answers) if (socket.writable) socket.write(answer);
    if (socket.destroyed) return;
    if (broken !== undefined) onRefused(broken);
    else if (socket.writableLength > mostUnread) onRefused('it does not read the answers');
  }

  /** All at once; whatever the spool refuses again, in order, until it takes it. @returns whether it took all */
  async #commit(blocks: readonly Block[]): Promise<boolean> {
    const { spool } = this.#options;
    const outcomes = await Promise.allSettled(blocks.map((block) => spool.append(block)));
    let durable = true;
    for (const [index, block] of blocks.entries()) {
      if (outcomes[index]?.status === 'rejected') durable = (await this.#retry(block)) && durable;
    }
    return durable;
  }

  async #retry(block: Block): Promise<boolean> {
    const { spool, signal, counters, log, source } = this.#options;
    for (;;) {
      try {
        await spool.untilWritable(signal);
        await spool.append(block);
        return true;
      } catch (error) {
        if (error instanceof SpoolError && error.code !== 'closed' && !signal.aborted) {
          await sleep(retryAfter);
          continue;
        }
        counters.lostBytes += block.payload.length;
        log.error({ peer: source.peer, bytes: block.payload.length }, 'what a connection brought could not be kept');
        return false;
      }
    }
  }

  #tellHeld(): void {
    const change = this.held - this.#toldHeld;
    this.#toldHeld += change;
    if (change !== 0) this.#options.onHeld(change);
  }
}
