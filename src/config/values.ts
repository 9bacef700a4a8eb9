import { isIP } from 'node:net';
import { availableParallelism, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { formatAddress, type ListenAddress } from './address.ts';

declare module 'zod' {
  /** What the reference of the configuration says of a key, beside its `description`. */
  interface GlobalMeta {
    /** What its value is, in a word or two, where the schema's own type does not tell. */
    kind?: string;
    /** What holds where the key is not given, in Markdown, where the default of the schema does not say it. */
    fallback?: string;
    /** Its value is shown to nobody, and can also be given as the name of a file (`…_file`). */
    secret?: true;
  }
}

const durations = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
const sizes = { TiB: 2 ** 40, GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, B: 1 } as const;

/** The number that a text such as `60s` stands for, by a table of units; undefined where it is none. */
function parseAmount(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,12})([A-Za-z]+)$/.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  const amount = factor === undefined ? NaN : Number(digits) * factor;
  return Number.isSafeInteger(amount) ? amount : undefined;
}

/** An amount in the largest unit that divides it. */
function formatAmount(amount: number, units: Readonly<Record<string, number>>): string {
  for (const [unit, factor] of Object.entries(units)) {
    if (amount % factor === 0 && amount !== 0) return `${amount / factor}${unit}`;
  }
  return `${amount}${Object.keys(units).at(-1) ?? ''}`;
}

/** `60s`, `5m`, `7d` → milliseconds; undefined where the text is no duration. */
export function parseDuration(text: string): number | undefined {
  return parseAmount(text, durations);
}

/** `64MiB`, `8GiB` → bytes; undefined where the text is no size. */
export function parseSize(text: string): number | undefined {
  return parseAmount(text, sizes);
}

/** A text that stands for a value; `decode` answers undefined where it does not. */
export function textual<Value>(
  expected: string,
  decode: (text: string) => Value | undefined,
  encode: (value: Value) => string,
) {
  return z.codec(z.string({ error: expected }), z.custom<Value>(), {
    decode: (text, context) => {
      const value = decode(text);
      if (value !== undefined) return value;
      context.issues.push({ code: 'custom', input: text, message: expected });
      return z.NEVER;
    },
    encode,
  });
}

export const text = z.string({ error: 'expected a text' }).min(1, { error: 'expected a text that is not empty' });
export const flag = z.boolean({ error: 'expected true or false' });

/** A text that is shown to nobody, of at least so many characters. */
export function secret(least = 1) {
  const error = least === 1 ? 'expected a text that is not empty' : `expected at least ${least} characters`;
  return z.string({ error: 'expected a text' }).min(least, { error }).meta({ secret: true });
}

/** A duration, in ms. */
export const duration = textual('expected a duration such as 500ms, 60s, 5m, 12h or 7d', parseDuration, (ms) =>
  formatAmount(ms, durations),
).meta({ kind: 'duration' });

/** A size, in bytes. */
export const size = textual('expected a size such as 512KiB, 64MiB or 8GiB', parseSize, (bytes) =>
  formatAmount(bytes, sizes),
).meta({ kind: 'size' });

/** How many of something there may be. */
export const count = z
  .codec(z.union([z.number(), z.string()], { error: 'expected a number such as 1000' }), z.int(), {
    decode: (value, context) => {
      if (/^[1-9]\d{0,8}$/.test(String(value))) return Number(value);
      context.issues.push({ code: 'custom', input: value, message: 'expected a number such as 1000' });
      return z.NEVER;
    },
    encode: (value) => value,
  })
  .meta({ kind: 'number' });

const mostWorkers = 64;
const expectedWorkers = `expected auto, or a number up to ${mostWorkers}`;

/** Memory that a worker should have, in bytes: it takes half of that before it has anything to do. */
const memoryOfWorker = 256 * 1024 * 1024;

/** One for each core, 8 at most, and no more than there is memory for, in bytes. */
export function suitableWorkers(cores: number, memory: number): number {
  return Math.max(1, Math.min(cores, 8, Math.floor(memory / memoryOfWorker)));
}

/** How many workers; `auto` is as many as suit the machine, or the container. */
export const workers = z.codec(z.union([z.number(), z.string()], { error: expectedWorkers }), z.int(), {
  decode: (value, context) => {
    // Without a limit the system names one that no machine has, or 0.
    const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity);
    if (value === 'auto') return suitableWorkers(availableParallelism(), memory);
    if (/^[1-9]\d?$/.test(String(value)) && Number(value) <= mostWorkers) return Number(value);
    context.issues.push({ code: 'custom', input: value, message: expectedWorkers });
    return z.NEVER;
  },
  encode: (value) => value,
});

/** `host:port`. Port 0 is any that is free. */
export const address = textual(
  'expected host:port, such as 127.0.0.1:5000 or [::1]:5000',
  parseAddress,
  formatAddress,
).meta({ kind: 'address' });

/** `host:port`, or `off`. */
export const optionalAddress = textual<ListenAddress | 'off'>(
  'expected host:port, such as 127.0.0.1:5514, or off',
  (text) => (text === 'off' ? text : parseAddress(text)),
  (value) => (value === 'off' ? value : formatAddress(value)),
).meta({ kind: 'address, or off' });

function parseAddress(text: string): ListenAddress | undefined {
  const [, six, plain, digits] = /^(?:\[([\da-fA-F:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = six ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535 || (six !== undefined && isIP(six) !== 6)) return undefined;
  return { host, port };
}

/** The URL of a server, without a path. */
export const origin = textual(
  'expected a URL without a path, such as https://registry.corp',
  (text) => {
    const url = URL.parse(text);
    return url !== null && /^https?:$/.test(url.protocol) && [url.origin, `${url.origin}/`].includes(text)
      ? url.origin
      : undefined;
  },
  (text) => text,
).meta({ kind: 'URL' });

/** The path of one of nginx's locations. */
export const location = z
  .string({ error: 'expected a path such as /_blobs/' })
  .regex(/^\/(?:[\w-]+\/)+$/, { error: 'expected a path such as /_blobs/: with a slash at both ends' });

/** A pattern of repositories' names. */
export const glob = z
  .string({ error: 'expected a pattern of names such as team-a/**' })
  .regex(/^[a-z\d._/*-]{1,255}$/, {
    error: 'expected a pattern of names such as team-a/**: lower-case letters, digits, . _ - / and *',
  });

/** A network such as `10.1.0.0/16`, or one address. */
export const network = z
  .string({ error: 'expected a network such as 10.1.0.0/16, or an address' })
  .refine((text) => isNetwork(text), { error: 'expected a network such as 10.1.0.0/16, or an address' })
  .meta({ kind: 'network' });

export const networks = z.array(network, { error: 'expected a list of networks' }).default([]);

function isNetwork(text: string): boolean {
  const [host = '', prefix, rest] = text.split('/');
  const family = isIP(host);
  if (family === 0 || host.includes('%') || rest !== undefined) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}

/** A path; a relative one starts at `base`. */
export function path(base: string) {
  return textual(
    'expected a path',
    (text) => (text === '' ? undefined : resolve(base, text)),
    (text) => text,
  ).meta({ kind: 'path' });
}
