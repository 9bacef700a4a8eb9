import { type DestinationStream, type Logger, pino } from 'pino';

const limits = {
  /** Bytes of lines that wait to be written; beyond it they are dropped. */
  maxLength: 16 * 1024 * 1024,
  /** Bytes that are written at once (PIPE_BUF, pipe(7)): more could be torn apart by another process with the same pipe. */
  maxWrite: 4096,
};

/**
 * The server's log: a JSON object a line, by default on stdout. There, lines that come while others are written are
 * written together, by a thread: a reader that is slow holds up nothing. What is left is written as the process exits.
 * These fields are in each line.
 */
export function openLog(destination?: DestinationStream, fields: Readonly<Record<string, unknown>> = {}): Logger {
  const options = { base: fields, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: describeError } };
  return pino(options, destination ?? pino.destination({ dest: 1, sync: false, ...limits }));
}

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
