import { isIP } from 'node:net';
import { blockList, contains } from '../networks.ts';

const loopback = blockList(['127.0.0.0/8', '::1']);

/** Whether a host, as an address or a name, is this machine's loopback (RFC 6761 section 6.3 for the names). */
export function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith('127.');
  return isIP(host) === 0 ? /^(?:.+\.)?localhost$/i.test(host) : contains(loopback, host);
}

/** The host of a `Host` field, without port and brackets. */
export function hostOf(field: string): string {
  const [, six, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(field) ?? [];
  return six ?? plain ?? '';
}
