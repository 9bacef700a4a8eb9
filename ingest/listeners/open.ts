import type { Log } from '../log.ts';
import type { Spool } from '../spool/spool.ts';
import { Budget } from './budget.ts';
import type { CertificateFiles } from './certificate.ts';
import { Fairness } from './fairness.ts';
import { Gate } from './gate.ts';
import type { ListenAddress, Listener, NetworkListener } from './listener.ts';
import { Rests } from './rests.ts';
import type { StreamListenerOptions } from './stream.ts';
import { openTcpListener } from './tcp.ts';
import { openTlsListener, type TlsListener } from './tls.ts';
import { openUdpListener } from './udp.ts';
import { openUnixListener } from './unix.ts';

/** Where syslog is listened for, and whom to. What is absent is not listened for. */
export interface SyslogOptions {
  readonly tcp?: ListenAddress;
  readonly udp?: ListenAddress;
  /** The path of a unix stream socket. */
  readonly unix?: string;
  readonly tls?: { readonly listen: ListenAddress; readonly files: CertificateFiles };
  /** The longest frame, in bytes; a longer one is cut into pieces. */
  readonly maxFrame: number;
  /** Whether an address may send at all. */
  readonly allows: (address: string) => boolean;
  /** Whether an address is that of a proxy, whose connections begin with a PROXY header. */
  readonly isProxy: (address: string) => boolean;
  /** Connections at once, in all and from one address. */
  readonly maxConnections: number;
  readonly maxConnectionsPerSource: number;
}

/** With the real ports. */
export interface SyslogAddresses {
  readonly tcp?: ListenAddress;
  readonly udp?: ListenAddress;
  readonly tls?: ListenAddress;
  readonly unix?: string;
}

/** A listener could not be opened; its cause says why. */
export class ListenerError extends Error {
  override readonly name = 'ListenerError';
  readonly listener: keyof SyslogAddresses;

  constructor(listener: keyof SyslogAddresses, options: { cause: unknown }) {
    const { cause } = options;
    super(`syslog over ${listener}: ${cause instanceof Error ? cause.message : String(cause)}`, options);
    this.listener = listener;
  }
}

/** All that is listened with. Disposing ends it. */
export interface Listeners extends AsyncDisposable {
  readonly addresses: SyslogAddresses;
  /** What each counted. */
  readonly counters: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Reads certificates again. */
  reload(): Promise<void>;
  /** Ends them, within `grace` ms or so; what they took is in the spool when this resolves. */
  drain(grace: number): Promise<void>;
}

/** The memory of all unfinished frames, and of all that is not committed, in bytes. */
const [restsLimit, windowsLimit] = [64 * 1024 * 1024, 128 * 1024 * 1024];

/**
 * Opens what the options name; the bounds hold for all together.
 * @throws {ListenerError} one cannot be opened; what was opened before is ended
 */
export async function openListeners(
  options: SyslogOptions,
  context: { readonly spool: Spool; readonly clusterOf: (address: string) => string | undefined; readonly log: Log },
): Promise<Listeners> {
  const { tcp, udp, unix, tls } = options;
  const common: StreamListenerOptions = {
    ...context,
    maxFrame: options.maxFrame,
    isProxy: options.isProxy,
    gate: new Gate({ ...options, log: context.log }),
    rests: new Rests(restsLimit),
    budget: new Budget(windowsLimit),
    fairness: new Fairness(context.spool),
  };
  await using stack = new AsyncDisposableStack();
  const open = async <L extends Listener>(name: keyof SyslogAddresses, opening: Promise<L>): Promise<L> => {
    try {
      return stack.use(await opening);
    } catch (cause) {
      throw new ListenerError(name, { cause });
    }
  };
  const opened: { tcp?: NetworkListener; udp?: NetworkListener; tls?: TlsListener; unix?: Listener } = {};
  if (tcp !== undefined) opened.tcp = await open('tcp', openTcpListener({ ...common, listen: tcp }));
  if (tls !== undefined) opened.tls = await open('tls', openTlsListener({ ...common, ...tls }));
  if (unix !== undefined) opened.unix = await open('unix', openUnixListener({ ...common, path: unix }));
  if (udp !== undefined) opened.udp = await open('udp', openUdpListener({ ...common, listen: udp }));

  const parts = stack.move();
  const all = Object.entries(opened);
  return {
    addresses: {
      ...(opened.tcp && { tcp: opened.tcp.address }),
      ...(opened.udp && { udp: opened.udp.address }),
      ...(opened.tls && { tls: opened.tls.address }),
      ...(opened.unix && unix !== undefined && { unix }),
    },
    get counters() {
      return Object.fromEntries(all.map(([name, { counters }]) => [name, counters]));
    },
    async reload() {
      await opened.tls?.reload();
    },
    async drain(grace) {
      await Promise.all(all.map(([, listener]) => listener.drain(grace)));
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
