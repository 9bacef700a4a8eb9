import { parseBsdStamp, type Stamp } from './time.ts';

/** What a line of a Cisco device begins with, and where its message starts: at the `%` of its code, which it keeps. */
export interface CiscoHeader {
  readonly stamp?: Stamp;
  readonly hostname?: string;
  /** `SYS-5-CONFIG_I` */
  readonly msgid: string;
  readonly message: number;
}

/**
 * What precedes the code: a sequence number, a host (`service timestamps`, `logging origin-id hostname`), where the clock
 * is not set a `*` or `.`, a time with or without a year before or behind the day, and the name of a zone. Of the ASA the
 * host stands behind the time; NX-OS and EMBLEM begin with a colon.
 */
const prefix =
  /^(?:\d{1,10}: |: ?)?(?:([\w.-]{1,255}): )?[*.]?(?:((?:\d{4} )?[A-Z][a-z]{2} [ \d]?\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?: ([A-Z]{3,5}))?(?: ([\w.-]{1,255}) ?)?: )?(?:[\w.-]{1,255}: )?$/;
const code = /^%([A-Z\d_]{1,40}-(?:\w{1,40}-){0,2}[0-7]-[\w-]{1,60}) ?: ?/;

/** Reads what follows the PRI. `undefined`: no Cisco device wrote it. */
export function parseCisco(text: string, at: number): CiscoHeader | undefined {
  const message = text.indexOf('%', at);
  if (message < 0 || message > at + longest) return undefined;
  const [, found] = code.exec(text.slice(message, message + longest)) ?? [];
  if (found === undefined) return undefined;
  const before = prefix.exec(text.slice(at, message));
  if (before === null) return undefined;
  const [all, first, time, zone, second] = before;
  const hostname = second ?? first;
  const stamp = time === undefined ? undefined : stampOf(text, at + all.indexOf(time), time, zone);
  return { msgid: found, message, ...(stamp && { stamp }), ...(hostname !== undefined && { hostname }) };
}

/** How far the code is looked for, and how long it may be, in characters. */
const longest = 400;

/** Of zones only the name of UTC says how far it is off. */
function stampOf(text: string, start: number, time: string, zone: string | undefined): Stamp | undefined {
  const year = /^\d{4} /.test(time) ? Number(time.slice(0, 4)) : undefined;
  const stamp = parseBsdStamp(text, year === undefined ? start : start + 5);
  if (stamp === undefined) return undefined;
  const isUtc = zone === 'UTC' || zone === 'GMT';
  return { ...stamp, start, ...(year !== undefined && { year }), ...(isUtc && { offset: 0 }) };
}
