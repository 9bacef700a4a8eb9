import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

/**
 * Reads a spool by its documented format alone, without any code of shiplog: each connection → the payloads of its whole
 * blocks, in order. Nobody may write to the spool meanwhile.
 */
export async function decodeSpool(spool: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer[]>();
  for (const life of (await readdir(spool)).toSorted()) {
    const files = await readdir(join(spool, life)).catch(() => []);
    const names = files.filter((name) => name.endsWith('.segment')).toSorted();
    /** Number of a segment → how much of it counts, by what later segments say. */
    const limits = new Map<number, number>();
    const segments: { number: number; bytes: Buffer }[] = [];
    for (const name of names) {
      const bytes = await readFile(join(spool, life, name));
      const number = Number(name.slice(0, 8));
      if (bytes.length < 64 || bytes.toString('latin1', 0, 8) !== 'SHIPLOG1') continue;
      if (crc32(bytes.subarray(0, 60)) !== bytes.readUInt32LE(60)) continue;
      const before = bytes.readUInt32LE(56);
      for (let between = before + 1; between < number; between += 1) limits.set(between, 0);
      if (before > 0) limits.set(before, Number(bytes.readBigUInt64LE(48)));
      segments.push({ number, bytes });
    }
    for (const { number, bytes } of segments) {
      const end = Math.min(bytes.length, limits.get(number) ?? bytes.length);
      const seed = crc32(bytes.subarray(8, 24));
      let at = 64;
      while (at + 32 <= end && bytes.toString('latin1', at, at + 4) === 'BLK1') {
        if (crc32(bytes.subarray(at, at + 28), seed) !== bytes.readUInt32LE(at + 28)) break;
        const source = bytes.readUInt16LE(at + 6);
        const payload = bytes.readUInt32LE(at + 8);
        const key = bytes.readUInt16LE(at + 12);
        const body = bytes.subarray(at + 32, at + 32 + source + key + payload);
        if (at + 32 + body.length > end || crc32(body, seed) !== bytes.readUInt32LE(at + 24)) break;
        const { connection }: { connection: string } = JSON.parse(body.toString('utf8', 0, source));
        const payloads = found.get(connection) ?? [];
        payloads.push(body.subarray(source + key));
        found.set(connection, payloads);
        at += 32 + body.length;
      }
    }
  }
  return new Map([...found].map(([connection, payloads]) => [connection, Buffer.concat(payloads)]));
}
