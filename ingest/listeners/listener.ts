import type { Log } from '../log.ts';
import type { Spool } from '../spool/spool.ts';

/** Where a listener listens. Port 0: any that is free. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** What each listener needs. */
export interface ListenerOptions {
  readonly listen: ListenAddress;
  readonly spool: Pick<Spool, 'append' | 'full' | 'untilWritable'>;
  /** The longest frame, in bytes; a longer one is cut into pieces. */
  readonly maxFrame: number;
  /** The cluster that the configuration gives to an address. */
  readonly clusterOf: (address: string) => string | undefined;
  readonly log: Log;
}

/** Takes messages from a network to the spool. */
export interface Listener extends AsyncDisposable {
  /** With the real port. */
  readonly address: ListenAddress;
  readonly counters: Readonly<Record<string, number>>;
  /** Ends it, within `grace` ms or so; what it took is in the spool when this resolves. */
  drain(grace: number): Promise<void>;
}

/** Now, in µs since 1970. */
export function arrival(): number {
  return Date.now() * 1000;
}
