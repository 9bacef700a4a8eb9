import { encode, ExtData } from '@msgpack/msgpack';

/** `EventTime` of the forward protocol. `time` in ms since 1970. */
export function eventTime(time: number): ExtData {
  const data = Buffer.alloc(8);
  data.writeUInt32BE(Math.floor(time / 1000), 0);
  data.writeUInt32BE((time % 1000) * 1e6, 4);
  return new ExtData(0, data);
}

/** A text as Go writes it, which need not be UTF-8. */
export function text(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head[0] = 0xdb;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** A map whose values are encoded already. */
export function map(members: Readonly<Record<string, Uint8Array>>): Buffer {
  const entries = Object.entries(members);
  const head = Buffer.from([0xde, entries.length >> 8, entries.length & 255]);
  return Buffer.concat([head, ...entries.flatMap(([key, value]) => [text(Buffer.from(key)), value])]);
}

/** An array whose values are encoded already. */
export function array(...values: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([0x90 + values.length]), ...values]);
}

export function pack(value: unknown): Buffer {
  return Buffer.from(encode(value));
}
