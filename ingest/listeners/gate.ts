import type { Log } from '../log.ts';
import { Rarely } from '../rarely.ts';

/** Who may send, and how many connections there may be. */
export interface GateOptions {
  /** Whether an address may send at all. */
  readonly allows: (address: string) => boolean;
  /** Connections at once, with those whose bytes are not committed yet. */
  readonly maxConnections: number;
  /** Of them from one address. */
  readonly maxConnectionsPerSource: number;
  readonly log: Log;
}

/** Lets senders in, or not: by their address, and by how many there are. What it refuses it tells now and then. */
export class Gate {
  readonly #options: GateOptions;
  readonly #perSource = new Map<string, number>();
  readonly #refusals: Rarely;
  #connections = 0;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#refusals = new Rarely(options.log);
  }

  /** Whether this address may send. */
  allows(address: string): boolean {
    if (this.#options.allows(address)) return true;
    this.#refuse('this address may not send (ingest.syslog.allow)', address);
    return false;
  }

  /** Takes a place for a connection, to be given back; undefined: there are too many. */
  enter(address: string | undefined): Disposable | undefined {
    if (this.#connections >= this.#options.maxConnections) {
      this.#refuse('there are too many connections (ingest.syslog.max_connections)', address);
      return undefined;
    }
    this.#connections += 1;
    return once(() => (this.#connections -= 1));
  }

  /** Takes a place among those of one address, to be given back; undefined: it has too many. */
  enterFrom(address: string): Disposable | undefined {
    const count = this.#perSource.get(address) ?? 0;
    if (count >= this.#options.maxConnectionsPerSource) {
      this.#refuse('it has too many connections (ingest.syslog.max_connections_per_source)', address);
      return undefined;
    }
    this.#perSource.set(address, count + 1);
    return once(() => {
      const left = (this.#perSource.get(address) ?? 0) - 1;
      if (left > 0) this.#perSource.set(address, left);
      else this.#perSource.delete(address);
    });
  }

  #refuse(reason: string, address: string | undefined): void {
    this.#refusals.warn(reason, { ...(address !== undefined && { address }), reason }, 'a sender was refused');
  }
}

/** Runs something when it is disposed, however often. */
function once(run: () => void): Disposable {
  let done = false;
  return {
    [Symbol.dispose]() {
      if (!done) run();
      done = true;
    },
  };
}
