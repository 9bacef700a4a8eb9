/**
 * The PROXY protocol, by which a proxy says for whom it connects (HAProxy, doc/proxy-protocol.txt, sections 2.1 and 2.2):
 * one line of text, or a binary header, before all that the client sends.
 */
import { isIPv4, isIPv6 } from 'node:net';

/** For whom a proxy connects. */
export interface Peer {
  readonly address: string;
  readonly port: number;
}

/** A header. */
export interface ProxyHeader {
  /** Absent: the proxy speaks for itself, or does not know. */
  readonly peer?: Peer;
  /** Bytes of it; what comes behind is the client's. */
  readonly length: number;
}

/** The longest header that is taken, in bytes: that of version 2 with its addresses and as much more. */
export const longestHeader = 536;

/** "A receiver may use a 107-byte buffer" (section 2.1). */
const longestLine = 107;
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const prefix = Buffer.from('PROXY ');
const versionTwo = 16;

/** Whether bytes are the start of a header: `more` if they may become one. */
export function startsHeader(bytes: Uint8Array): boolean | 'more' {
  let open = false;
  for (const start of [signature, prefix]) {
    const length = Math.min(start.length, bytes.length);
    if (start.compare(bytes, 0, length, 0, length) !== 0) continue;
    if (length === start.length) return true;
    open = true;
  }
  return open && 'more';
}

/** Reads the header that a connection begins with. `more`: it is not whole. `bad`: it is none. */
export function readProxyHeader(bytes: Buffer): ProxyHeader | 'more' | 'bad' {
  const starts = startsHeader(bytes);
  if (starts !== true) return starts === 'more' ? 'more' : 'bad';
  return bytes[0] === signature[0] ? readBinary(bytes) : readLine(bytes);
}

function readLine(bytes: Buffer): ProxyHeader | 'more' | 'bad' {
  const end = bytes.subarray(0, longestLine).indexOf('\r\n');
  if (end < 0) return bytes.length < longestLine ? 'more' : 'bad';
  const length = end + 2;
  const [, protocol, source = '', destination = '', sourcePort = '', destinationPort = '', ...more] = bytes
    .toString('latin1', 0, end)
    .split(' ');
  // "The receiver must ignore anything presented before the CRLF is found" (section 2.1).
  if (protocol === 'UNKNOWN') return { length };
  const isAddress = protocol === 'TCP4' ? isIPv4 : protocol === 'TCP6' ? isPlainIPv6 : undefined;
  if (isAddress === undefined || more.length > 0) return 'bad';
  if (!isAddress(source) || !isAddress(destination) || !isPort(sourcePort) || !isPort(destinationPort)) return 'bad';
  return { peer: { address: shortest(source), port: Number(sourcePort) }, length };
}

function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function readBinary(bytes: Buffer): ProxyHeader | 'more' | 'bad' {
  if (bytes.length < versionTwo) return 'more';
  const command = bytes[12];
  const family = bytes[13];
  const length = versionTwo + bytes.readUInt16BE(14);
  if ((command !== 0x20 && command !== 0x21) || length > longestHeader) return 'bad';
  if (bytes.length < length) return 'more';
  // LOCAL, and of PROXY all but TCP over IPv4 and IPv6: "the receiver may ignore the address" (section 2.2).
  if (command === 0x20 || (family !== 0x11 && family !== 0x21)) return { length };
  const size = family === 0x11 ? 4 : 16;
  if (length < versionTwo + 2 * size + 4) return 'bad';
  const source = bytes.subarray(versionTwo, versionTwo + size);
  const address = size === 4 ? source.join('.') : shortest((source.toString('hex').match(/.{4}/g) ?? []).join(':'));
  return { peer: { address, port: bytes.readUInt16BE(versionTwo + 2 * size) }, length };
}

/** An address as one writes it: of IPv6 as short as may be (RFC 5952), and an IPv4 address in one as such. */
function shortest(address: string): string {
  if (isIPv4(address)) return address;
  const short = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short) ?? [];
  if (high === undefined || low === undefined) return short;
  return [high, low].flatMap((part) => [parseInt(part, 16) >> 8, parseInt(part, 16) & 255]).join('.');
}
