/** How programs write levels, in lower case → `log.level`. */
const names: ReadonlyMap<string, string> = new Map(
  Object.entries({
    trace: 'trace',
    verbose: 'trace',
    debug: 'debug',
    info: 'info',
    information: 'info',
    informational: 'info',
    notice: 'notice',
    warn: 'warning',
    warning: 'warning',
    err: 'error',
    error: 'error',
    severe: 'error',
    crit: 'critical',
    critical: 'critical',
    alert: 'alert',
    emerg: 'emergency',
    emergency: 'emergency',
    fatal: 'fatal',
    panic: 'fatal',
    dpanic: 'fatal',
  }),
);

/** Numbers of pino and bunyan. */
const numbers: ReadonlyMap<number, string> = new Map([
  [10, 'trace'],
  [20, 'debug'],
  [30, 'info'],
  [40, 'warning'],
  [50, 'error'],
  [60, 'fatal'],
]);

/** The level that a program's own word or number for it means; undefined: none. */
export function levelOf(value: unknown): string | undefined {
  if (typeof value === 'number') return numbers.get(value);
  return typeof value === 'string' && value.length <= 13 ? names.get(value.toLowerCase()) : undefined;
}

/** `W0803 10:00:00.000000       1 file.go:10] ` (klog, glog). */
const klog = /^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [^\s\]]{1,200}:\d+\] /;
const klogLevels: Readonly<Record<string, string>> = { I: 'info', W: 'warning', E: 'error', F: 'fatal' };

/** `level=warn` among the first pairs of a line of logfmt, which begins with a pair. */
const logfmt = /^(?:time|ts|t|level|lvl|msg|caller|logger)=/;
const logfmtLevel = /(?:^| )(?:level|lvl)="?(\w{3,13})"?(?: |$)/;
const logfmtHead = 256;
const logfmtLetters: ReadonlySet<number> = new Set(Array.from('tlmc', (letter) => letter.charCodeAt(0)));

/** A level in capitals or brackets behind a time: nginx, Spring Boot, … */
const stamped =
  /^\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d[\d.,]{0,10}(?:Z|[+-]\d\d:?\d\d)? {1,3}(?:\[([A-Za-z]{3,11})\]|([A-Z]{3,9}))[ :]/;
/** A level in brackets. */
const bracketed = /^\[([A-Za-z]{3,11})\][ :]/;
const [space, hyphen, slash, zero, nine, colon, capitalA, capitalZ, bracket] = [32, 45, 47, 48, 57, 58, 65, 90, 91];

/** The level that a text names at its start, where that is cheap to see and sure; undefined: none. `first`: the code of its first letter. */
export function levelInText(text: string, first: number = text.charCodeAt(0)): string | undefined {
  if (first >= capitalA && first <= capitalZ) return levelInCapitals(text);
  if (first >= zero && first <= nine) {
    const fifth = text.charCodeAt(4);
    const found = fifth === hyphen || fifth === slash ? stamped.exec(text) : null;
    return found === null ? undefined : levelOf(found[1] ?? found[2]);
  }
  if (first === bracket) return levelOf(bracketed.exec(text)?.[1]);
  if (!logfmtLetters.has(first) || !logfmt.test(text)) return undefined;
  return levelOf(logfmtLevel.exec(text.slice(0, logfmtHead))?.[1]);
}

/** `ERROR: …`, `WARN …`, or a line of klog's. */
function levelInCapitals(text: string): string | undefined {
  const second = text.charCodeAt(1);
  if (second >= zero && second <= nine) return klog.test(text) ? klogLevels[text.charAt(0)] : undefined;
  let end = 1;
  for (let code = second; code >= capitalA && code <= capitalZ && end < 10; code = text.charCodeAt(end)) end += 1;
  const next = text.charCodeAt(end);
  return end >= 3 && (next === colon || next === space) ? levelOf(text.slice(0, end)) : undefined;
}
