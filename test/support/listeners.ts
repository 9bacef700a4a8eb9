import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Budget } from '../../ingest/listeners/budget.ts';
import { Fairness } from '../../ingest/listeners/fairness.ts';
import { Gate, type GateOptions } from '../../ingest/listeners/gate.ts';
import type { ListenerOptions, NetworkListener } from '../../ingest/listeners/listener.ts';
import { Rests } from '../../ingest/listeners/rests.ts';
import type { StreamListenerOptions } from '../../ingest/listeners/stream.ts';
import { openTcpListener } from '../../ingest/listeners/tcp.ts';
import { openUdpListener, type UdpListenerOptions } from '../../ingest/listeners/udp.ts';
import type { FakeSpool } from './fake-spool.ts';
import { quiet } from './log.ts';

/** What differs from an open gate and the bounds that do not matter. Sizes in bytes. */
export type Extra = Partial<Omit<StreamListenerOptions & UdpListenerOptions, 'spool'> & GateOptions> & {
  readonly restBudget?: number;
  readonly windowBudget?: number;
};

const listen = { host: '127.0.0.1', port: 0 };

/** All that a listener needs. */
export function listenerOptions(
  spool: ListenerOptions['spool'] & { readonly dropsOldest: boolean },
  { restBudget = 1 << 26, windowBudget = 1 << 27, ...extra }: Extra = {},
): StreamListenerOptions {
  const gate: GateOptions = { allows: () => true, maxConnections: 10_000, maxConnectionsPerSource: 10_000, log: quiet };
  return {
    maxFrame: 1024 * 1024,
    clusterOf: (address) => (address === '127.0.0.1' ? 'here' : undefined),
    isProxy: () => false,
    log: quiet,
    rests: new Rests(restBudget),
    budget: new Budget(windowBudget),
    fairness: new Fairness(spool),
    gate: new Gate({ ...gate, ...extra }),
    ...extra,
    spool,
  };
}

export const tcp = (
  spool: ListenerOptions['spool'] & { readonly dropsOldest: boolean },
  extra: Extra = {},
): Promise<NetworkListener> => openTcpListener({ listen, ...listenerOptions(spool, extra) });

export const udp = (spool: FakeSpool, extra: Extra = {}): Promise<NetworkListener> =>
  openUdpListener({ listen, ...listenerOptions(spool, extra) });

/** A connection to a listener; what becomes of it is not told. */
export async function client(listener: NetworkListener): Promise<Socket> {
  const socket = connect(listener.address.port, listener.address.host);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Resolves when it is closed, in whatever way. */
export async function closed(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once('close', () => resolve());
  if (!socket.closed) await promise;
}
