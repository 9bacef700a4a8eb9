import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import { contains } from '../networks.ts';
import { plainAddress } from './state.ts';

/** A host and perhaps a port, as they may stand in a URL. */
const authority = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

/**
 * Under which URL the sender of a request reaches this server, without a path: by the request's own `Host`, or by what a
 * trusted proxy says in `X-Forwarded-Host` and `X-Forwarded-Proto`, or else in `Forwarded` (RFC 7239).
 */
export function publicUrlOf({ headers, socket }: IncomingMessage, trusted: BlockList): string {
  const isProxied = contains(trusted, plainAddress(socket.remoteAddress ?? ''));
  const said = isProxied ? (byForwardedFields(headers) ?? byForwarded(headers.forwarded ?? '')) : {};
  const scheme = (said.scheme ?? ('encrypted' in socket ? 'https' : 'http')) === 'https' ? 'https' : 'http';
  const host = [said.host, headers.host].find((text) => text !== undefined && authority.test(text));
  const { localAddress = '', localPort } = socket;
  return `${scheme}://${host ?? `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`}`;
}

/** What a proxy says. */
interface Said {
  readonly scheme?: string | undefined;
  readonly host?: string | undefined;
}

/** Undefined: there is neither field. A proxy that knows only these lets its clients' `Forwarded` through. */
function byForwardedFields(headers: IncomingMessage['headers']): Said | undefined {
  // The last entry is the proxy's own; those before it came from its client.
  const last = (name: string): string | undefined =>
    [headers[name] ?? []].flat().at(-1)?.split(',').at(-1)?.trim().toLowerCase();
  const said = { scheme: last('x-forwarded-proto'), host: last('x-forwarded-host') };
  return said.scheme === undefined && said.host === undefined ? undefined : said;
}

/** A pair of `Forwarded`: a token, and a token or a quoted string (RFC 7239, section 4), then what stands behind it. */
const pair = /\s*(?:([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([\w!#$%&'*+.^`|~-]+))\s*)?(;|,|$)/y;

/** By its last element: those before it came from the proxy's client. One that is malformed says nothing. */
function byForwarded(field: string): Said {
  let said = new Map<string, string>();
  for (pair.lastIndex = 0; pair.lastIndex < field.length;) {
    const found = pair.exec(field);
    if (found === null) return {};
    const [, name, quoted, plain = '', end] = found;
    // "Parameter names are case-insensitive" (section 4).
    if (name !== undefined) said.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? plain);
    if (end === ',') said = new Map();
  }
  return { scheme: said.get('proto')?.toLowerCase(), host: said.get('host')?.toLowerCase() };
}
