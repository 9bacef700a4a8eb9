import type { Log } from '../log.ts';
import type { Spool } from '../spool/spool.ts';
import type { Gate } from './gate.ts';

/** Where a listener listens. Port 0: any that is free. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** A descriptor that this process was started with, of a socket that is bound there: it is used instead of a new one. */
  readonly fd?: number;
}

/** What each listener needs. */
export interface ListenerOptions {
  readonly spool: Pick<Spool, 'append' | 'full' | 'level' | 'untilWritable'>;
  /** The longest frame, in bytes; a longer one is cut into pieces. */
  readonly maxFrame: number;
  /** The cluster that the configuration gives to an address. */
  readonly clusterOf: (address: string) => string | undefined;
  /** Who may send; one for all listeners. */
  readonly gate: Gate;
  readonly log: Log;
}

/** Takes messages to the spool. */
export interface Listener extends AsyncDisposable {
  readonly counters: Readonly<Record<string, number>>;
  /** Ends it, within `grace` ms or so; what it took is in the spool when this resolves. */
  drain(grace: number): Promise<void>;
}

/** Takes them from a network. */
export interface NetworkListener extends Listener {
  /** With the real port. */
  readonly address: ListenAddress;
}

/** Now, in µs since 1970. */
export function arrival(): number {
  return Date.now() * 1000;
}
