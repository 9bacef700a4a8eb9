import type { BlockKind, StoredBlock } from '../block.ts';
import type { Own } from '../record.ts';
import type { Context } from './context.ts';
import type { Message } from './message.ts';
import type { RawMessage } from './render-ecs.ts';
import { parseSyslog, type Place, type SyslogLine } from './syslog.ts';
import { contentOfText, type Text } from './texts.ts';
import { type Resolved, resolveTime, type Stamp } from './time.ts';

/** What a line says that the next one with its header does not. */
export type OwnLine = Pick<SyslogLine, 'stamp' | 'message' | 'error'>;

/** What is the same for a whole block. */
export interface Batch {
  readonly block: StoredBlock;
  /** The lines of its documents up to what is an id's own. */
  readonly head: Buffer;
  /** From behind the message to `event.sequence`. */
  readonly event: Buffer;
}

/** All that a line's document is made of. */
export interface Line {
  readonly batch: Batch;
  readonly text: Text;
  readonly context: Context;
  readonly own: Own;
  /** Its message is what an application wrote, which may be JSON. */
  readonly written: boolean;
  /** Its message as it came, where that can be written so. */
  readonly raw?: RawMessage;
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
  if (isWhole(block, text)) return parseSyslog(contentOfText(text));
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
export function ownOf(line: OwnLine, { source, start, end }: Place, arrivedAt: number): Own {
  const { stamp, error } = line;
  const message = source.slice(start + line.message, end);
  if (stamp === undefined)
    return error === undefined ? { message, timestamp: arrivedAt } : { message, timestamp: arrivedAt, error };
  const { timestamp, exact } = stamp.whole ? resolveAgain(stamp, arrivedAt) : resolveTime(stamp, arrivedAt);
  if (exact && error === undefined) return { message, timestamp };
  const timeOriginal = source.slice(start + stamp.start, start + stamp.end);
  if (error === undefined) return { message, timestamp, timeOriginal };
  return { message, timestamp, ...(!exact && { timeOriginal }), error };
}

/** A stamp of whole seconds is that of many lines. */
function resolveAgain(stamp: Stamp, arrivedAt: number): Resolved {
  if (stamp !== last.stamp || arrivedAt !== last.arrivedAt) {
    last = { stamp, arrivedAt, resolved: resolveTime(stamp, arrivedAt) };
  }
  return last.resolved;
}

let last: { readonly stamp: Stamp | undefined; readonly arrivedAt: number; readonly resolved: Resolved } = {
  stamp: undefined,
  arrivedAt: 0,
  resolved: { timestamp: 0, exact: false },
};
