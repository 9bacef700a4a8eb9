import type { Log } from '../../ingest/log.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Block, Source, StoredBlock } from '../../ingest/block.ts';
import { Bulk } from '../../ingest/bulk.ts';
import { type Renderer, Shipper } from '../../ingest/shipper.ts';
import type { DeadLetter } from '../../ingest/sinks/dead-letter-lines.ts';
import type { Outcome, Sink } from '../../ingest/sinks/sink.ts';
import type { Journal } from '../../ingest/spool/journal.ts';
import { addTo, emptyLedger, type PastLedger } from '../../ingest/spool/ledger.ts';
import type { TakeLock } from '../../ingest/spool/lock.ts';
import { openSpool, type Spool } from '../../ingest/spool/spool.ts';
import { FaultyFileSystem } from './faulty-fs.ts';

export const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** A disk with the folder `/data`, which is durable. */
export async function disk(seed = 1): Promise<FaultyFileSystem> {
  const fileSystem = new FaultyFileSystem({ seed });
  await fileSystem.mkdir('/data', { recursive: true });
  const root = await fileSystem.open('/', 'r');
  await root.sync();
  await root.close();
  return fileSystem;
}

/** What outlives a process on the machine besides its files: the past ledger; and, until it dies, its locks. */
export class Machine {
  readonly #held = new Set<string>();
  readonly #counted = new Set<string>();
  readonly #total = emptyLedger();

  readonly takeLock: TakeLock = (file) => {
    const place = file.replace('/.new-', '/');
    if (this.#held.has(place)) return undefined;
    this.#held.add(place);
    return { [Symbol.dispose]: () => void this.#held.delete(place) };
  };

  get past(): PastLedger {
    const total = { ...this.#total };
    return {
      total,
      totalWith: (directories) => {
        const sum = { ...total };
        for (const [name, ledger] of Object.entries(directories)) if (!this.#counted.has(name)) addTo(sum, ledger);
        return sum;
      },
      has: (directory) => this.#counted.has(directory),
      add: (directory, ledger) => {
        if (this.#counted.has(directory)) return;
        this.#counted.add(directory);
        addTo(this.#total, ledger);
        addTo(total, ledger);
      },
      [Symbol.dispose]: () => undefined,
    };
  }

  /** The kernel frees the locks of a process that died. */
  processDied(): void {
    this.#held.clear();
  }

  open(
    fileSystem: FaultyFileSystem,
    options: { maxSize?: number; segmentSize?: number; log?: Log } = {},
  ): Promise<Spool> {
    return openSpool({
      directory: '/data/spool',
      fileSystem,
      maxSize: options.maxSize ?? 1 << 30,
      segmentSize: options.segmentSize ?? 1024,
      takeLock: this.takeLock,
      past: this.past,
      log: options.log ?? silent,
    });
  }
}

/** A sink in memory that knows documents by their ids, as real ones do. */
export class MemorySink implements Pick<Sink, 'deliver' | 'mostDeliveries'> {
  readonly mostDeliveries: number = 8;
  readonly found = new Map<string, string>();
  readonly letters: DeadLetter[] = [];
  /** Says what becomes of the document of a message; undefined: it is indexed. It may throw. */
  judge: (message: string) => Outcome | undefined = () => undefined;

  async deliver(bulk: Bulk): Promise<Outcome[]> {
    await Promise.resolve();
    return Array.from(bulk, ({ id, json }): Outcome => {
      const said: string | { readonly message: string } = JSON.parse(json.trimEnd());
      const message = typeof said === 'string' ? said : said.message;
      const judged = this.judge(message);
      if (judged !== undefined) return judged;
      if (this.found.has(id)) return { status: 'duplicate' };
      this.found.set(id, message);
      return { status: 'indexed' };
    });
  }

  add = async (letters: readonly DeadLetter[]): Promise<void> => {
    await Promise.resolve();
    this.letters.push(...letters);
  };

  /** Messages in the order in which they were first found. */
  get messages(): string[] {
    return [...this.found.values()];
  }
}

/** A document for each line, two at a time. */
export const lines: Renderer = {
  open: () => ({
    documents: linesOf,
    dropped: 0,
    held: { lines: 0, bytes: 0 },
    end: () => Bulk.join([]),
    since: undefined,
    unfinished: [],
    waitsBefore: () => false,
  }),
};

async function* linesOf(block: StoredBlock): AsyncGenerator<Bulk, void, undefined> {
  await Promise.resolve();
  const documents: { id: string; json: string }[] = [];
  let offset = block.offset;
  for (const line of Buffer.from(block.payload).toString('latin1').split('\n').slice(0, -1)) {
    documents.push({ id: `${block.segment.id}-${offset}`, json: JSON.stringify(line) });
    offset += line.length + 1;
  }
  for (let at = 0; at < documents.length; at += 2) yield Bulk.of(documents.slice(at, at + 2), block.arrivedAt);
}

export function shipper(sink: MemorySink): Shipper {
  return new Shipper({ renderer: lines, sink, deadLetters: sink, log: silent, backoff: [1, 2] });
}

export function source(connection: string): Source {
  return { listener: 'syslog-tcp', connection, peer: { address: '10.0.0.1', port: 1024 } };
}

export function block(from: Source, text: string): Block {
  return { kind: 'lf-stream', source: from, arrivedAt: 1_700_000_000_000_000, flags: {}, payload: Buffer.from(text) };
}

/** Delivers all that dead processes left, and all that is in the live directory, and ends the spool. */
export async function drain(spool: Spool, ship: Shipper): Promise<void> {
  const { signal } = new AbortController();
  for (const journal of await spool.adopt(signal)) {
    await ship.ship(journal, signal);
    await spool.retire(journal);
  }
  await spool.close();
  await ship.ship(spool.live, signal);
}

/** Delivers the live directory in the background; its failures are those of the file system. */
export function shipLive(journal: Journal, ship: Shipper): { stop(): Promise<void> } {
  const end = new AbortController();
  const running = (async () => {
    while (!end.signal.aborted) {
      await ship.ship(journal, end.signal).catch(() => undefined);
      await sleep(1);
    }
  })();
  return {
    async stop() {
      end.abort();
      await running;
    },
  };
}
