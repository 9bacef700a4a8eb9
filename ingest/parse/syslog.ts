import { parseCisco } from './cisco.ts';
import { readStructuredData, type StructuredData } from './structured-data.ts';
import { parseBsdStamp, parseIsoStamp, type Stamp } from './time.ts';

/** A line's header, and where the message starts after it. Absent means that the line does not have it. */
export interface SyslogLine {
  readonly priority?: number;
  readonly stamp?: Stamp;
  readonly hostname?: string;
  readonly appname?: string;
  readonly procid?: string;
  readonly msgid?: string;
  readonly structuredData?: StructuredData;
  /** The header is such as Docker's driver writes, and hardly anyone else. */
  readonly fromDocker: boolean;
  /** Where the message starts in the text. */
  readonly message: number;
  /**
   * The texts before and after the stamp, where each line that has them too has the same header, whatever its message.
   */
  readonly around?: { readonly before: string; readonly after: string };
  /** Why the line could not be parsed, or not wholly. */
  readonly error?: string;
}

/** How far the end of an RFC 3164 tag is looked for, in characters. */
const longestTag = 1024;
/** How many words of an RFC 5424 header may be the process id that stands between two equal tags. */
const mostWords = 64;

/** Parses a line by RFC 5424 or RFC 3164, in all the forms that Docker and its like send. Never throws. */
export function parseSyslog(text: string): SyslogLine {
  const { priority, end } = readPriority(text, 0);
  if (priority !== undefined && text.startsWith('1 ', end)) {
    const line = parse5424(text, end + 2, priority);
    if (line !== undefined) return line;
  }
  return parse3164(text, end, priority);
}

/** Where a line stands in a text. */
export interface Place {
  readonly source: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a line that has the header of another, but for the time: what is its own, as parsing it would say. `undefined`: its
 * header is another.
 */
export function readAgain(
  { source, start, end }: Place,
  { around }: SyslogLine,
  stamp: Stamp | undefined,
): Pick<SyslogLine, 'stamp' | 'message'> | undefined {
  if (around === undefined || stamp === undefined || stamp.start !== around.before.length) return undefined;
  const after = start + stamp.end;
  const message = after + around.after.length;
  // Comparing with a slice is faster than `startsWith`, where that is long.
  if (message > end || source.slice(after, message) !== around.after || !source.startsWith(around.before, start)) {
    return undefined;
  }
  return { stamp, message: skipByteOrderMark(source, message) - start };
}

/** The time of a line's header, where either RFC has it, as if the text ended nowhere. Its places are counted from the line's start. */
export function findStamp({ source, start }: Pick<Place, 'source' | 'start'>): Stamp | undefined {
  const at = startOfStamp(source, start);
  return parseIsoStamp(source, at, start) ?? parseBsdStamp(source, at, start);
}

/** Where the time of a line's header stands, if it has one. */
export function startOfStamp(text: string, start: number): number {
  const { end } = readPriority(text, start);
  const next = text.charCodeAt(end);
  return next === 49 && text.charCodeAt(end + 1) === 32 ? end + 2 : next === 32 ? end + 1 : end;
}

/** `<0>` to `<191>` (RFC 5424 section 6.2.1). */
function readPriority(text: string, at: number): { readonly priority: number | undefined; readonly end: number } {
  const none = { priority: undefined, end: at };
  if (text.charCodeAt(at) !== 60) return none;
  let [priority, end] = [0, at + 1];
  for (; end <= at + 3; end += 1) {
    const digit = text.charCodeAt(end) - 48;
    if (!(digit >= 0 && digit <= 9)) break;
    priority = priority * 10 + digit;
  }
  return end === at + 1 || priority > 191 || text.charCodeAt(end) !== 62 ? none : { priority, end: end + 1 };
}

function isDigits(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const digit = text.charCodeAt(at);
    if (digit < 48 || digit > 57) return false;
  }
  return text !== '';
}

/** What follows `<PRI>1 `. `undefined`: it starts with neither a time nor the nil value. */
function parse5424(text: string, at: number, priority: number): SyslogLine | undefined {
  const stamp = parseIsoStamp(text, at);
  const end = stamp?.end ?? at + 1;
  if ((stamp === undefined && text[at] !== '-') || text[end] !== ' ') return undefined;
  const whole = { priority, ...(stamp && { stamp }) };
  const host = wordAt(text, end + 1);
  const found = readPlainHeader(text, host.next) ?? readDoubledTag(text, host.next);
  if (found === undefined) {
    const error = 'the header ends early: APP-NAME, PROCID or MSGID is missing (RFC 5424)';
    return { ...whole, ...named('hostname', host.word), fromDocker: false, message: host.next, error };
  }
  const data = readStructuredData(text, found.next);
  const message = skipByteOrderMark(text, data.next);
  const steady = stamp !== undefined && data.nil && message === data.next && !found.appname.includes('[');
  return {
    ...whole,
    ...named('hostname', host.word),
    ...named('appname', found.appname),
    ...named('procid', found.procid),
    ...named('msgid', found.msgid),
    ...(data.elements && { structuredData: data.elements }),
    fromDocker: found.doubled,
    message,
    ...(steady && { around: { before: text.slice(0, at), after: text.slice(end, message) } }),
    ...(data.error !== undefined && { error: data.error }),
  };
}

function skipByteOrderMark(text: string, at: number): number {
  return text.charCodeAt(at) === 0xfeff ? at + 1 : at;
}

interface Word {
  readonly word: string;
  /** Where the next one starts. */
  readonly next: number;
}

function wordAt(text: string, at: number): Word {
  const space = text.indexOf(' ', at);
  return space < 0 ? { word: text.slice(at), next: text.length } : { word: text.slice(at, space), next: space + 1 };
}

/** The nil value of RFC 5424 is `-`. */
function named<K extends string>(key: K, value: string): { readonly [key in K]?: string } {
  const named: { [key in K]?: string } = {};
  if (value !== '' && value !== '-') named[key] = value;
  return named;
}

interface Header5424 {
  readonly appname: string;
  readonly procid: string;
  readonly msgid: string;
  readonly doubled: boolean;
  /** Where the structured data start. */
  readonly next: number;
}

/** APP-NAME, PROCID and MSGID without spaces, followed by structured data; or as Docker writes them, also without. */
function readPlainHeader(text: string, at: number): Header5424 | undefined {
  const app = wordAt(text, at);
  const process = wordAt(text, app.next);
  const id = wordAt(text, process.next);
  if (id.word === '') return undefined;
  const doubled = app.word === id.word && isDigits(process.word);
  const first = text[id.next];
  if (!doubled && first !== '[' && !(first === '-' && (text[id.next + 1] ?? ' ') === ' ')) return undefined;
  return { appname: app.word, procid: process.word, msgid: id.word, doubled, next: id.next };
}

/** `TAG PROCID TAG `, where the tag has spaces; else three words, without structured data. */
function readDoubledTag(text: string, at: number): Header5424 | undefined {
  let process = wordAt(text, at);
  for (let words = 0; words < mostWords && process.next < text.length; words += 1) {
    const start = process.next;
    process = wordAt(text, start);
    if (!isDigits(process.word)) continue;
    const tag = text.slice(at, start - 1);
    const end = process.next + tag.length;
    if (text.startsWith(tag, process.next) && (end === text.length || text[end] === ' ')) {
      return { appname: tag, procid: process.word, msgid: tag, doubled: true, next: Math.min(end + 1, text.length) };
    }
  }
  const app = wordAt(text, at);
  const procid = wordAt(text, app.next);
  const id = wordAt(text, procid.next);
  if (id.word === '' || id.next >= text.length) return undefined;
  return { appname: app.word, procid: procid.word, msgid: id.word, doubled: false, next: id.next };
}

/** What follows the PRI, or a line without one. */
function parse3164(text: string, afterPriority: number, priority: number | undefined): SyslogLine {
  if (priority !== undefined) {
    const cisco = parseCisco(text, afterPriority);
    if (cisco !== undefined) return { ...cisco, priority, fromDocker: false };
  }
  // Go's srslog writes a space first.
  const at = priority !== undefined && text[afterPriority] === ' ' ? afterPriority + 1 : afterPriority;
  const stamp = parseBsdStamp(text, at) ?? parseIsoStamp(text, at);
  const timed = stamp !== undefined && (text[stamp.end] === ' ' || text.startsWith(': ', stamp.end));
  if (priority === undefined && !timed) {
    return { fromDocker: false, message: 0, error: 'the line has neither a PRI nor a time at its start' };
  }
  const start = timed ? text.indexOf(' ', stamp.end) + 1 : at;
  // Python's loggers write such a time into the message, and a level or a name behind it.
  const isMessage = timed && text[stamp.start + 4] === '-' && text[stamp.start + 10] === ' ';
  const head = isMessage ? undefined : (readHead(text, start, timed) ?? readHost(text, start, timed));
  const message = skipByteOrderMark(text, head?.message ?? start);
  const steady = timed && head !== undefined && head.message < text.length && message === head.message;
  return {
    ...(priority !== undefined && { priority }),
    ...(timed && { stamp }),
    ...(head?.host !== undefined && { hostname: head.host }),
    ...(head?.tag !== undefined && { appname: head.tag }),
    ...(head?.pid !== undefined && { procid: head.pid }),
    fromDocker: isDockers(head, priority),
    message,
    ...(steady && { around: { before: text.slice(0, at), after: text.slice(stamp.end, message) } }),
  };
}

/** A daemon's line without a host comes over a network from Docker's default format. */
function isDockers(head: Head | undefined, priority: number | undefined): boolean {
  const severity = (priority ?? 0) & 7;
  return head?.pid !== undefined && head.host === undefined && (severity === 6 || severity === 3);
}

interface Head {
  readonly host?: string;
  readonly tag?: string;
  readonly pid?: string;
  readonly message: number;
}

/**
 * `[HOST ]TAG[PID]: ` or `[HOST ]TAG: `; a host only after a time. The first colon that a space follows ends the tag, for
 * messages have such more often than tags; but what stands before it must be a tag, else the first `[PID]: ` does.
 * `undefined`: there is no tag.
 */
function readHead(text: string, at: number, timed: boolean): Head | undefined {
  const space = text.indexOf(' ', at);
  const hasHost = timed && space > at && !/[/|]/.test(text.slice(at, Math.min(space, at + longestTag)));
  for (let colon = nextColon(text, at, at); colon >= 0; colon = nextColon(text, at, colon + 1)) {
    const open = openBracket(text, at, colon);
    const tagEnd = open ?? colon;
    const spaced = hasHost && space < tagEnd;
    const tag = text.slice(spaced ? space + 1 : at, tagEnd);
    if (tag === '' || (open === undefined && tag.includes(' '))) continue;
    return {
      ...(spaced && { host: text.slice(at, space) }),
      tag,
      ...(open !== undefined && { pid: text.slice(open + 1, colon - 1) }),
      message: Math.min(colon + 2, text.length),
    };
  }
  return undefined;
}

/** Logback writes `HOST [THREAD] …` or, of a stack trace, `HOST TAB…`, without a tag. */
function readHost(text: string, at: number, timed: boolean): Head | undefined {
  const space = timed ? text.indexOf(' ', at) : -1;
  if (space < 0 || !/[[\t]/.test(text.charAt(space + 1))) return undefined;
  const host = text.slice(at, Math.min(space, at + longestTag));
  return /^[\w.:-]+$/.test(host) ? { host, message: space + 1 } : undefined;
}

/** The next colon with a space or nothing after it; -1 where the tag that starts at `at` cannot end any more. */
function nextColon(text: string, at: number, from: number): number {
  const near = text.slice(from, at + longestTag);
  const found = near.indexOf(': ');
  if (found >= 0) return from + found;
  return near.endsWith(':') && from + near.length === text.length ? text.length - 1 : -1;
}

/** Where the bracket of `[PID]` opens that ends before the colon. */
function openBracket(text: string, at: number, colon: number): number | undefined {
  if (text[colon - 1] !== ']') return undefined;
  let open = colon - 2;
  while (open > at && isDigits(text.charAt(open))) open -= 1;
  return open > at && open < colon - 2 && text[open] === '[' ? open : undefined;
}
