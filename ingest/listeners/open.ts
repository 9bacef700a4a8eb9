import type { Log } from '../log.ts';
import type { Spool } from '../spool/spool.ts';
import { Budget } from './budget.ts';
import type { CertificateFiles } from './certificate.ts';
import { Fairness } from './fairness.ts';
import { openForwardListener, openForwardTlsListener, openForwardUnixListener } from './forward.ts';
import { Gate } from './gate.ts';
import { openGelfTcpListener, openGelfUdpListener } from './gelf.ts';
import type { ListenAddress, Listener, NetworkListener } from './listener.ts';
import { Rests } from './rests.ts';
import type { StreamListenerOptions } from './stream.ts';
import { openTcpListener } from './tcp.ts';
import { openTlsListener, type TlsListener, type TlsListenerOptions } from './tls.ts';
import { openUdpListener } from './udp.ts';
import { openUnixListener } from './unix.ts';

/** Where connections are listened for that are secured, and with what. */
export interface SecurePlace {
  readonly listen: ListenAddress;
  readonly files: CertificateFiles;
}

/** Where syslog, forwarded events and GELF are listened for, and whom to. What is absent is not listened for. */
export interface ListenOptions {
  readonly tcp?: ListenAddress;
  readonly udp?: ListenAddress;
  /** The path of a unix stream socket. */
  readonly unix?: string;
  readonly tls?: SecurePlace;
  readonly forward?: ListenAddress;
  readonly forwardTls?: SecurePlace;
  /** The path of a unix stream socket. */
  readonly forwardUnix?: string;
  /** Who forwards over TCP or TLS must have this key. */
  readonly forwardKey?: string;
  readonly gelfTcp?: ListenAddress;
  readonly gelfUdp?: ListenAddress;
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
export interface ListenAddresses {
  readonly tcp?: ListenAddress;
  readonly udp?: ListenAddress;
  readonly tls?: ListenAddress;
  readonly unix?: string;
  readonly forward?: ListenAddress;
  readonly forwardTls?: ListenAddress;
  readonly forwardUnix?: string;
  readonly gelfTcp?: ListenAddress;
  readonly gelfUdp?: ListenAddress;
}

/** A listener could not be opened; its cause says why. */
export class ListenerError extends Error {
  override readonly name = 'ListenerError';
  readonly listener: keyof ListenAddresses;
  /** Where it should listen. */
  readonly place: ListenAddress | string;

  constructor(listener: keyof ListenAddresses, place: ListenAddress | string, options: { cause: unknown }) {
    const { cause } = options;
    super(`the listener ${listener}: ${cause instanceof Error ? cause.message : String(cause)}`, options);
    this.listener = listener;
    this.place = place;
  }
}

/** All that is listened with. Disposing ends it. */
export interface Listeners extends AsyncDisposable {
  readonly addresses: ListenAddresses;
  /** What each counted. */
  readonly counters: Readonly<Record<string, Readonly<Record<string, number>>>>;
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
  options: ListenOptions,
  context: { readonly spool: Spool; readonly clusterOf: (address: string) => string | undefined; readonly log: Log },
): Promise<Listeners> {
  const { tcp, udp, unix, tls, forward, forwardTls, forwardUnix, forwardKey, gelfTcp, gelfUdp } = options;
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
  const open = async <P extends ListenAddress | string, L extends Listener>(
    name: keyof ListenAddresses,
    place: P | undefined,
    opening: (listen: P) => Promise<L>,
  ): Promise<L | undefined> => {
    if (place === undefined) return undefined;
    try {
      return stack.use(await opening(place));
    } catch (cause) {
      throw new ListenerError(name, place, { cause });
    }
  };
  const network = (
    name: keyof ListenAddresses,
    place: ListenAddress | undefined,
    opening: (options: StreamListenerOptions & { readonly listen: ListenAddress }) => Promise<NetworkListener>,
  ): Promise<NetworkListener | undefined> => open(name, place, (listen) => opening({ ...common, listen }));
  const secured = async (
    name: 'tls' | 'forwardTls',
    place: SecurePlace | undefined,
    opening: (options: TlsListenerOptions) => Promise<TlsListener>,
  ): Promise<TlsListener | undefined> =>
    place && open(name, place.listen, (listen) => opening({ ...common, listen, files: place.files }));
  const local = (
    name: 'unix' | 'forwardUnix',
    place: string | undefined,
    opening: (options: StreamListenerOptions & { readonly path: string }) => Promise<Listener>,
  ): Promise<Listener | undefined> => open(name, place, (path) => opening({ ...common, path }));
  const key = forwardKey === undefined ? {} : { sharedKey: forwardKey };
  const secures = {
    tls: await secured('tls', tls, openTlsListener),
    forwardTls: await secured('forwardTls', forwardTls, (its) => openForwardTlsListener({ ...its, ...key })),
  };
  const networks = {
    tcp: await network('tcp', tcp, openTcpListener),
    udp: await network('udp', udp, openUdpListener),
    forward: await network('forward', forward, (its) => openForwardListener({ ...its, ...key })),
    gelfTcp: await network('gelfTcp', gelfTcp, openGelfTcpListener),
    gelfUdp: await network('gelfUdp', gelfUdp, openGelfUdpListener),
    ...secures,
  };
  const locals = {
    unix: await local('unix', unix, (its) => openUnixListener(its)),
    forwardUnix: await local('forwardUnix', forwardUnix, openForwardUnixListener),
  };

  const parts = stack.move();
  const all = Object.entries({ ...networks, ...locals }).flatMap(([name, listener]) =>
    listener === undefined ? [] : [[name, listener] as const],
  );
  const bound: Partial<Record<keyof typeof networks, ListenAddress>> = {};
  for (const name of ['tcp', 'udp', 'tls', 'forward', 'forwardTls', 'gelfTcp', 'gelfUdp'] as const) {
    const listener = networks[name];
    if (listener !== undefined) bound[name] = listener.address;
  }
  return {
    addresses: { ...bound, ...(unix !== undefined && { unix }), ...(forwardUnix !== undefined && { forwardUnix }) },
    get counters() {
      return Object.fromEntries(all.map(([name, { counters }]) => [name, counters]));
    },
    async drain(grace) {
      await Promise.all(all.map(([, listener]) => listener.drain(grace)));
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
