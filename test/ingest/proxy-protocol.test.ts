import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { longestHeader, readProxyHeader } from '../../ingest/listeners/proxy-protocol.ts';

const signature = '0d0a0d0a000d0a515549540a';
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

const good: [string, Buffer, { address: string; port: number } | undefined][] = [
  ['v1, IPv4', Buffer.from('PROXY TCP4 10.1.2.3 10.0.0.1 56324 443\r\n'), { address: '10.1.2.3', port: 56324 }],
  [
    'v1, IPv6',
    Buffer.from('PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::1 56324 443\r\n'),
    { address: '2001:db8::1', port: 56324 },
  ],
  ['v1, IPv4 in IPv6', Buffer.from('PROXY TCP6 ::ffff:10.1.2.3 ::1 0 443\r\n'), { address: '10.1.2.3', port: 0 }],
  ['v1, unknown', Buffer.from('PROXY UNKNOWN ffff::1 ffff::1 1 2\r\n'), undefined],
  ['v2, IPv4', hex(`${signature} 21 11 000c 0a010203 0a000001 dc04 01bb`), { address: '10.1.2.3', port: 56324 }],
  [
    'v2, IPv6, with more behind the addresses',
    hex(`${signature} 21 21 0028 20010db8000000000000000000000001 ${'00'.repeat(15)}01 dc04 01bb 01000161`),
    { address: '2001:db8::1', port: 56324 },
  ],
  [
    'v2, IPv4 in IPv6',
    hex(`${signature} 21 21 0024 ${'00'.repeat(10)}ffff0a010203 ${'00'.repeat(15)}01 0001 01bb`),
    { address: '10.1.2.3', port: 1 },
  ],
  ['v2, LOCAL', hex(`${signature} 20 00 0000`), undefined],
  ['v2, LOCAL with addresses', hex(`${signature} 20 11 000c 0a010203 0a000001 dc04 01bb`), undefined],
  ['v2, of no family', hex(`${signature} 21 00 0000`), undefined],
  ['v2, unix', hex(`${signature} 21 31 00d8 ${'00'.repeat(216)}`), undefined],
];

test.each(good)('%s', (_, bytes, peer) => {
  const expected = { length: bytes.length, ...(peer && { peer }) };
  expect(readProxyHeader(Buffer.concat([bytes, Buffer.from('<1>a\n')]))).toEqual(expected);
  for (let length = 0; length < bytes.length; length += 1)
    expect(readProxyHeader(bytes.subarray(0, length))).toBe('more');
});

test.each([
  ['another text', Buffer.from('<1>a\n')],
  ['another protocol', Buffer.from('PROXY UDP4 10.1.2.3 10.0.0.1 1 2\r\n')],
  ['too few parts', Buffer.from('PROXY TCP4 10.1.2.3\r\n')],
  ['too many parts', Buffer.from('PROXY TCP4 10.1.2.3 10.0.0.1 1 2 3\r\n')],
  ['an address of the other family', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
  ['an address that is none', Buffer.from('PROXY TCP4 10.1.2.256 10.0.0.1 1 2\r\n')],
  ['an address with a zone', Buffer.from('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
  ['a port that is none', Buffer.from('PROXY TCP4 10.1.2.3 10.0.0.1 65536 2\r\n')],
  ['a port with a sign', Buffer.from('PROXY TCP4 10.1.2.3 10.0.0.1 +1 2\r\n')],
  ['a line without an end', Buffer.from(`PROXY UNKNOWN${' '.repeat(200)}\r\n`)],
  ['v2, another version', hex(`${signature} 31 11 000c 0a010203 0a000001 dc04 01bb`)],
  ['v2, another command', hex(`${signature} 22 11 000c 0a010203 0a000001 dc04 01bb`)],
  ['v2, fewer bytes than the addresses have', hex(`${signature} 21 11 0008 0a010203 0a000001`)],
  ['v2, too long', hex(`${signature} 21 11 0209`)],
])('%s is no header', (_, bytes) => {
  expect(readProxyHeader(bytes)).toBe('bad');
});

test('any bytes: it never throws, and asks for no more than the longest header has', () => {
  const starts = fc.constantFrom(
    ...good.map(([, bytes]) => bytes),
    Buffer.from('PROXY '),
    hex(signature),
    Buffer.alloc(0),
  );
  fc.assert(
    fc.property(starts, fc.nat(60), fc.uint8Array({ maxLength: 80 }), (start, length, rest) => {
      const bytes = Buffer.concat([start.subarray(0, length), rest]);
      const header = readProxyHeader(bytes);
      if (typeof header === 'object') expect(header.length).toBeLessThanOrEqual(bytes.length);
      const filled = Buffer.concat([bytes, Buffer.alloc(longestHeader)]);
      expect(readProxyHeader(filled.subarray(0, longestHeader))).not.toBe('more');
    }),
  );
});
