import type { ByteWriter } from '../byte-writer.ts';

/** A time as a line wrote it. A part that the line did not have is undefined. */
export interface Stamp {
  /** Where it starts and ends in the text. */
  readonly start: number;
  readonly end: number;
  readonly year: number | undefined;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  /** µs since midnight. */
  readonly timeOfDay: number;
  /** Minutes east of UTC. */
  readonly offset: number | undefined;
  /** It has no fraction of a second. */
  readonly whole: boolean;
}

/** When a record was written, in µs since 1970. */
export interface Resolved {
  readonly timestamp: number;
  /** The timestamp is what the stamp says, with nothing guessed or replaced. */
  readonly exact: boolean;
}

const second = 1_000_000;
const minute = 60 * second;
const day = 24 * 60 * minute;
const zoneStep = 15 * minute;

/**
 * Decides when a record was written, from its stamp and its arrival (µs since 1970). A missing year is that which lies
 * nearest to the arrival, a missing zone likewise, in steps of 15 minutes. Whole seconds within 2 s of the arrival take
 * the arrival, which orders better; so does a stamp more than 24 h away.
 */
export function resolveTime(stamp: Stamp | undefined, arrivedAt: number): Resolved {
  if (stamp === undefined) return { timestamp: arrivedAt, exact: false };
  const written = moment(stamp, arrivedAt);
  const distance = Math.abs(written - arrivedAt);
  if (!(distance <= day)) return { timestamp: arrivedAt, exact: false };
  if (stamp.whole && distance <= 2 * second) return { timestamp: arrivedAt, exact: written === arrivedAt };
  return { timestamp: written, exact: stamp.year !== undefined && stamp.offset !== undefined };
}

function moment(stamp: Stamp, arrivedAt: number): number {
  const { year, offset } = stamp;
  const local = year === undefined ? nearestYear(stamp, arrivedAt) : localTime(stamp, year);
  if (offset !== undefined) return local - offset * minute;
  const guess = Math.round((local - arrivedAt) / zoneStep) * zoneStep;
  const possible = guess >= -12 * 60 * minute && guess <= 14 * 60 * minute;
  return possible ? local - guess : local;
}

function nearestYear(stamp: Stamp, arrivedAt: number): number {
  const year = new Date(arrivedAt / 1000).getUTCFullYear();
  const candidates = [year, year - 1, year + 1].map((candidate) => localTime(stamp, candidate));
  return candidates.reduce((best, time) =>
    Number.isNaN(best) || Math.abs(time - arrivedAt) < Math.abs(best - arrivedAt) ? time : best,
  );
}

/** µs since 1970, as if the zone were UTC; NaN where the year has no such day. */
function localTime({ month, day, timeOfDay }: Stamp, year: number): number {
  if (day === 29 && month === 2 && new Date(Date.UTC(year, 1, 29)).getUTCMonth() !== 1) return Number.NaN;
  return Date.UTC(year, month - 1, day) * 1000 + timeOfDay;
}

/** Two digits as a number; NaN where they are none. */
function two(text: string, at: number): number {
  const [high, low] = [text.charCodeAt(at) - 48, text.charCodeAt(at + 1) - 48];
  return high >= 0 && high <= 9 && low >= 0 && low <= 9 ? high * 10 + low : Number.NaN;
}

const daysOfMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function isDay(month: number, day: number): boolean {
  return day >= 1 && day <= (daysOfMonth[month - 1] ?? 0);
}

interface Clock {
  readonly end: number;
  readonly timeOfDay: number;
  readonly whole: boolean;
}

/** `HH:MM:SS`, and a fraction after `.` or `,`. */
function parseClock(text: string, at: number): Clock | undefined {
  const [hours, minutes, seconds] = [two(text, at), two(text, at + 3), two(text, at + 6)];
  if (text[at + 2] !== ':' || text[at + 5] !== ':') return undefined;
  if (!(hours < 24 && minutes < 60 && seconds <= 60)) return undefined;
  // A leap second counts as the end of the second before.
  const timeOfDay = ((hours * 60 + minutes) * 60 + Math.min(seconds, 59)) * second;
  let end = at + 8;
  if (text[end] !== '.' && text[end] !== ',') return { end, timeOfDay, whole: true };
  let [fraction, unit] = [0, second / 10];
  for (end += 1; ; end += 1) {
    const digit = text.charCodeAt(end) - 48;
    if (!(digit >= 0 && digit <= 9)) break;
    fraction += digit * Math.floor(unit);
    unit /= 10;
  }
  return end === at + 9
    ? { end: at + 8, timeOfDay, whole: true }
    : { end, timeOfDay: timeOfDay + fraction, whole: false };
}

/**
 * A stamp as RFC 3339 writes it (RFC 5424 section 6.2.3); the zone may be missing, and a space stand for the `T`. Its places
 * are counted from `from`.
 */
export function parseIsoStamp(text: string, at: number, from: number = 0): Stamp | undefined {
  const year = two(text, at) * 100 + two(text, at + 2);
  const [month, day] = [two(text, at + 5), two(text, at + 8)];
  if (Number.isNaN(year) || text[at + 4] !== '-' || text[at + 7] !== '-' || !isDay(month, day)) return undefined;
  const divider = text[at + 10];
  if (divider !== 'T' && divider !== 't' && divider !== ' ') return undefined;
  const clock = parseClock(text, at + 11);
  if (clock === undefined) return undefined;
  const { end, offset } = parseZone(text, clock.end);
  const { timeOfDay, whole } = clock;
  return { start: at - from, end: end - from, year, month, day, timeOfDay, offset, whole };
}

function parseZone(text: string, at: number): { readonly end: number; readonly offset: number | undefined } {
  const sign = text[at];
  if (sign === 'Z' || sign === 'z') return { end: at + 1, offset: 0 };
  if (sign !== '+' && sign !== '-') return { end: at, offset: undefined };
  const colon = text[at + 3] === ':' ? 1 : 0;
  const [hours, minutes] = [two(text, at + 1), two(text, at + 3 + colon)];
  if (!(hours < 24 && minutes < 60)) return { end: at, offset: undefined };
  const offset = hours * 60 + minutes;
  return { end: at + 5 + colon, offset: sign === '-' ? -offset : offset };
}

const months: ReadonlyMap<number, number> = new Map(
  'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ').map((name, index) => [letters(name, 0), index + 1]),
);

/** Three letters as a number. */
function letters(text: string, at: number): number {
  return (text.charCodeAt(at) << 16) | (text.charCodeAt(at + 1) << 8) | text.charCodeAt(at + 2);
}

/**
 * A stamp as RFC 3164 section 4.1.2 writes it: `Aug  3 10:00:00`; also with a year before the time, or a fraction. Its places
 * are counted from `from`.
 */
export function parseBsdStamp(text: string, at: number, from: number = 0): Stamp | undefined {
  const month = months.get(letters(text, at));
  if (month === undefined || text[at + 3] !== ' ') return undefined;
  const padded = text[at + 4] === ' ';
  const single = padded || text[at + 5] === ' ';
  const dayAt = padded ? at + 5 : at + 4;
  const day = single ? text.charCodeAt(dayAt) - 48 : two(text, dayAt);
  let next = dayAt + (single ? 1 : 2);
  if (!isDay(month, day) || text[next] !== ' ') return undefined;
  next += 1;
  const year = two(text, next) * 100 + two(text, next + 2);
  const hasYear = !Number.isNaN(year) && text[next + 4] === ' ';
  const clock = parseClock(text, hasYear ? next + 5 : next);
  if (clock === undefined) return undefined;
  const { end, timeOfDay, whole } = clock;
  return {
    start: at - from,
    end: end - from,
    year: hasYear ? year : undefined,
    month,
    day,
    timeOfDay,
    offset: undefined,
    whole,
  };
}

/**
 * A time in a JSON record: RFC 3339, or a number since 1970, whose size says whether it is s, ms, µs or ns.
 * `undefined`: it is none.
 */
export function resolveJsonTime(value: unknown, arrivedAt: number): Resolved | undefined {
  if (typeof value === 'string') {
    const stamp = parseIsoStamp(value, 0);
    if (stamp !== undefined && stamp.end === value.length) return resolveTime(stamp, arrivedAt);
  }
  const number = typeof value === 'string' && /^\d{9,19}(?:\.\d{1,9})?$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !(number > 0)) return undefined;
  const unit = number < 1e11 ? second : number < 1e14 ? 1000 : number < 1e17 ? 1 : 0.001;
  const written = Math.round(number * unit);
  const distance = Math.abs(written - arrivedAt);
  if (distance > day) return { timestamp: arrivedAt, exact: false };
  const whole = unit === second && Number.isInteger(number);
  return whole && distance <= 2 * second ? { timestamp: arrivedAt, exact: false } : { timestamp: written, exact: true };
}

let lastSecond = Number.NaN;
let lastPrefix = '';
let lastBytes = new Uint8Array();

/** `2026-11-24T12:00:00.`, of whole seconds since 1970. */
function keepSecond(whole: number): void {
  if (whole === lastSecond) return;
  lastPrefix = new Date(whole * 1000).toISOString().slice(0, -4);
  lastBytes = new TextEncoder().encode(lastPrefix);
  lastSecond = whole;
}

/** A time in µs since 1970 as RFC 3339 text in UTC, with ms, or µs where it has such. */
export function formatTime(micros: number): string {
  const whole = Math.floor(micros / second);
  keepSecond(whole);
  const digits = String(second + micros - whole * second).slice(1);
  return `${lastPrefix}${digits.endsWith('000') ? digits.slice(0, 3) : digits}Z`;
}

const zulu = Uint8Array.of(0x5a);

/** Writes the same. Needs room for 27 bytes, or as many more as the year has digits beyond four. */
export function writeTime(writer: ByteWriter, micros: number): void {
  const whole = Math.floor(micros / second);
  keepSecond(whole);
  const fraction = micros - whole * second;
  writer.bytes(lastBytes);
  if (fraction % 1000 === 0) writer.digits(fraction / 1000, 3);
  else writer.digits(fraction, 6);
  writer.bytes(zulu);
}
