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

/** A level in capitals or brackets at the start, or behind a time: nginx, Spring Boot, … */
const prefix =
  /^(?:\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d[\d.,]{0,10}(?:Z|[+-]\d\d:?\d\d)? {1,3})?(?:\[([A-Za-z]{3,11})\][ :]|([A-Z]{3,9})[ :])/;

/** The level that a text names at its start, where that is cheap to see and sure; undefined: none. */
export function levelInText(text: string): string | undefined {
  const first = text.charCodeAt(0);
  // A digit, a bracket, a capital.
  if ((first >= 48 && first <= 57) || first === 91 || (first >= 65 && first <= 90)) {
    if (text.charCodeAt(1) <= 57 && klog.test(text)) return klogLevels[text.charAt(0)];
    const [, bracketed, plain] = prefix.exec(text) ?? [];
    return levelOf(bracketed ?? plain);
  }
  // The first letters of what logfmt begins with.
  if (first !== 116 && first !== 108 && first !== 109 && first !== 99) return undefined;
  return logfmt.test(text) ? levelOf(logfmtLevel.exec(text.slice(0, logfmtHead))?.[1]) : undefined;
}
