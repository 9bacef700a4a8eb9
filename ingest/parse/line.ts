import type { BlockKind, StoredBlock } from '../block.ts';
import type { LogRecord } from '../record.ts';
import type { Context } from './context.ts';
import type { Message } from './message.ts';
import { parseSyslog, type SyslogLine } from './syslog.ts';
import type { Text } from './texts.ts';
import { resolveTime } from './time.ts';

/** What is read of one line, beside what it has in common with others. */
export interface Own {
  readonly message: string;
  readonly timestamp: number;
  readonly timeOriginal?: string;
  readonly error?: string;
  /** What the application says of it; else the header does. */
  readonly level?: string;
  readonly logger?: string;
  readonly ecs?: NonNullable<LogRecord['ecs']>;
  readonly fields?: NonNullable<LogRecord['fields']>;
}

/** What a line says that the next one with its header does not. */
export type OwnLine = Pick<SyslogLine, 'stamp' | 'message' | 'error'>;

/** What is the same for a whole block. */
export interface Batch {
  readonly block: StoredBlock;
  readonly idPrefix: string;
  /** `event.ingested`. */
  readonly ingested: string;
}

/** All that a line's document is made of. */
export interface Line {
  readonly batch: Batch;
  readonly text: Text;
  readonly context: Context;
  readonly own: Own;
  /** Its message is what an application wrote, which may be JSON. */
  readonly written: boolean;
}

/** What frames should have been that have no header. */
const messages: Readonly<Partial<Record<BlockKind, string>>> = {
  'json-records': 'the record is not a JSON object',
  forward: 'the event is not one of the forward protocol',
  gelf: 'the message is not a JSON object of the Graylog Extended Log Format',
};

/** It is neither a message without a header, nor the rest of a frame that was cut and so has none. */
export function isWhole({ kind }: StoredBlock, { frame }: Text): boolean {
  return messages[kind] === undefined && !frame.continued;
}

/** Reads what a frame has as a header. */
export function readLine(block: StoredBlock, text: Text): SyslogLine {
  if (isWhole(block, text)) return parseSyslog(text.text);
  const error = messages[block.kind];
  return { fromDocker: false, message: 0, ...(error !== undefined && { error }) };
}

/** What a message says that others of its sender do not. */
export function ownOfMessage({ message, time, timeOriginal, ecs, fields }: Message): Own {
  return {
    message,
    timestamp: time.timestamp,
    ...(timeOriginal !== undefined && { timeOriginal }),
    ...(Object.keys(ecs).length > 0 && { ecs }),
    ...(Object.keys(fields).length > 0 && { fields }),
  };
}

/** What a line says besides its header. */
export function ownOf(line: OwnLine, text: string, arrivedAt: number): Own {
  const { stamp, error } = line;
  const message = text.slice(line.message);
  if (stamp === undefined)
    return error === undefined ? { message, timestamp: arrivedAt } : { message, timestamp: arrivedAt, error };
  const { timestamp, exact } = resolveTime(stamp, arrivedAt);
  return {
    message,
    timestamp,
    ...(!exact && { timeOriginal: text.slice(stamp.start, stamp.end) }),
    ...(error !== undefined && { error }),
  };
}
