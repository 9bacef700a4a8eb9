import { GelfDatagrams } from './gelf-chunks.ts';
import type { NetworkListener } from './listener.ts';
import { MessageConnection } from './message-connection.ts';
import { NulProtocol } from './nul-protocol.ts';
import { openMessageListener, type TcpListenerOptions } from './tcp.ts';
import { openUdpListener, type UdpListenerOptions } from './udp.ts';

/**
 * Listens for GELF over TCP: messages that end with NUL, not compressed ("GELF via TCP").
 * @throws the system's error where it cannot listen there.
 */
export function openGelfTcpListener(options: TcpListenerOptions): Promise<NetworkListener> {
  return openMessageListener(options, {
    name: 'gelf-tcp',
    read: (connection) => new MessageConnection(connection, new NulProtocol('gelf', options.maxFrame)),
  });
}

/**
 * Listens for GELF over UDP ("GELF via UDP").
 * @throws the system's error where it cannot listen there.
 */
export function openGelfUdpListener(options: UdpListenerOptions): Promise<NetworkListener> {
  const datagrams = new GelfDatagrams(options.maxFrame);
  const take = (datagram: Buffer, address: string): Buffer | undefined => datagrams.take(datagram, address);
  return openUdpListener({
    ...options,
    kind: { name: 'gelf-udp', kind: 'gelf', take, counters: datagrams.counters },
  });
}
