import type { z } from 'zod';
import type { Contradiction } from './contradiction.ts';
import type { http } from './http.ts';
import type { ingest } from './ingest.ts';
import { formatAddress, type ListenAddress } from './address.ts';

interface Parsed {
  readonly http: z.output<ReturnType<typeof http>>;
  readonly ingest: z.output<ReturnType<typeof ingest>>;
}

/** Keys that listen on an address which another one before them has already. */
export function contradictionsOfListeners({ http, ingest: { syslog, forward, gelf } }: Parsed): Contradiction[] {
  const streams = {
    'http.listen': http.listen,
    'ingest.syslog.tcp': syslog.tcp,
    'ingest.syslog.tls.listen': syslog.tls.listen,
    'ingest.forward.listen': forward.listen,
    'ingest.forward.tls.listen': forward.tls.listen,
    'ingest.gelf.tcp': gelf.tcp,
  };
  return [...taken(streams), ...taken({ 'ingest.syslog.udp': syslog.udp, 'ingest.gelf.udp': gelf.udp })];
}

function taken(listeners: Readonly<Record<string, ListenAddress | 'off'>>): Contradiction[] {
  const first = new Map<string, string>();
  return Object.entries(listeners).flatMap(([key, address]) => {
    if (address === 'off' || address.port === 0) return [];
    const place = formatAddress(address);
    const other = first.get(place);
    if (other === undefined) first.set(place, key);
    return other === undefined ? [] : [{ key, message: `${other} is ${place} too` }];
  });
}
