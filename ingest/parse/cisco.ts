import type { StructuredData } from './structured-data.ts';
import { parseBsdStamp, type Stamp } from './time.ts';

/** What a line of a Cisco device begins with, and where its message starts: at the `%` of its code, which it keeps. */
export interface CiscoHeader {
  readonly stamp?: Stamp;
  readonly hostname?: string;
  /** Of IOS-XR: the process, its id, and the node (the card and its processor) that it runs on. */
  readonly appname?: string;
  readonly procid?: string;
  readonly structuredData?: StructuredData;
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
/**
 * Of IOS-XR: the sequence number, the host (`logging hostnameprefix`), the node, the time, and the process
 * (`SEQ: HOST NODE:TIME ZONE : PROCESS[PID]: `).
 */
const prefixOfXr =
  /^(?:\d{1,10}: )?(?:([\w.-]{1,255}) )?(\w{1,8}(?:\/\w{1,8}){2,3}):((?:\d{4} )?[A-Z][a-z]{2} [ \d]?\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?: ([A-Z]{3,5}))? ?: ([\w.-]{1,64})\[(\d{1,10})\] ?: $/;
const code = /^%([A-Z\d_]{1,40}-(?:\w{1,40}-){0,2}[0-7]-[\w-]{1,60}) ?: ?/;

/** Reads what follows the PRI. `undefined`: no Cisco device wrote it. */
export function parseCisco(text: string, at: number): CiscoHeader | undefined {
  const message = text.indexOf('%', at);
  if (message < 0 || message > at + longest) return undefined;
  const [, found] = code.exec(text.slice(message, message + longest)) ?? [];
  if (found === undefined) return undefined;
  const before = text.slice(at, message);
  const plain = prefix.exec(before);
  const fields = plain === null ? readXr(before) : readPlain(plain);
  if (fields === undefined) return undefined;
  const { hostname, time, zone, ...process } = fields;
  const stamp = time === undefined ? undefined : stampOf(text, at + before.indexOf(time), time, zone);
  return { ...process, msgid: found, message, ...(stamp && { stamp }), ...(hostname !== undefined && { hostname }) };
}

interface Fields extends Pick<CiscoHeader, 'hostname' | 'appname' | 'procid' | 'structuredData'> {
  readonly time?: string;
  readonly zone?: string;
}

function readPlain([, first, time, zone, second]: RegExpExecArray): Fields {
  const hostname = second ?? first;
  return {
    ...(hostname !== undefined && { hostname }),
    ...(time !== undefined && { time }),
    ...(zone !== undefined && { zone }),
  };
}

function readXr(before: string): Fields | undefined {
  const [, hostname, node, time, zone, appname, procid] = prefixOfXr.exec(before) ?? [];
  if (node === undefined || time === undefined || appname === undefined || procid === undefined) return undefined;
  return {
    ...(hostname !== undefined && { hostname }),
    ...(zone !== undefined && { zone }),
    time,
    appname,
    procid,
    structuredData: { cisco: { node } },
  };
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
