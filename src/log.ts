import { type DestinationStream, type Logger, pino } from 'pino';

const limits = {
  /** Bytes of lines that wait to be written; beyond it they are dropped. */
  maxLength: 16 * 1024 * 1024,
  /** Bytes that are written at once (PIPE_BUF, pipe(7)): more could be torn apart by another process with the same pipe. */
  maxWrite: 4096,
  /** Bytes of lines that are gathered before they are written. */
  minLength: 2048,
};

/** How long lines are gathered at most, in ms. */
const longestHold = 20;

/**
 * The server's log: a JSON object a line, by default on stdout. There, lines that come close together are written together,
 * by a thread: a reader that is slow holds up nothing. What is left is written as the process exits.
 * These fields are in each line.
 */
export function openLog(destination?: DestinationStream, fields: Readonly<Record<string, unknown>> = {}): Logger {
  const options = { base: fields, timestamp: timeField, serializers: { err: describeError } };
  return pino(options, destination ?? gathered(pino.destination({ dest: 1, sync: false, ...limits })));
}

/** Lines are held back, until there are enough of them or some ms have passed: to write each alone takes more than to make it. */
function gathered(destination: ReturnType<typeof pino.destination>): DestinationStream {
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    timer = undefined;
    destination.flush();
  };
  return {
    write(line) {
      destination.write(line);
      timer ??= setTimeout(flush, longestHold).unref();
    },
  };
}

/** The time of a line, as a field of it; that of one millisecond is rendered once. */
function timeField(): string {
  const now = Date.now();
  if (now !== rendered.at) rendered = { at: now, field: `,"time":"${new Date(now).toISOString()}"` };
  return rendered.field;
}
let rendered = { at: 0, field: '' };

/** What is logged of an error. Its other properties may hold header fields of a request, and so secrets. */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return String(error);
  return {
    type: error.name,
    message: error.message,
    ...('code' in error && { code: String(error.code) }),
    stack: error.stack,
    ...(error.cause !== undefined && depth < 4 && { cause: describeError(error.cause, depth + 1) }),
  };
}
