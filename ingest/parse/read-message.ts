import { Buffer } from 'node:buffer';
import type { StoredBlock } from '../block.ts';
import { readForwardEvent } from './forward.ts';
import { readGelfMessage } from './gelf.ts';
import { readHecEvent } from './hec.ts';
import { parseObject, readJsonRecord } from './json.ts';
import { hecListener, type Message } from './message.ts';
import type { Text } from './texts.ts';

/** Reads a message that has fields: what the block's kind and listener say that it is. Undefined: it is none. */
export function readMessage(
  { kind, payload, source, arrivedAt }: StoredBlock,
  { frame, text }: Text,
): Message | undefined {
  if (kind === 'forward') {
    const { start, end } = frame;
    return readForwardEvent(Buffer.from(payload.buffer, payload.byteOffset + start, end - start), arrivedAt);
  }
  if ((kind !== 'json-records' && kind !== 'gelf') || frame.cut || frame.continued) return undefined;
  const record = parseObject(text);
  if (record === undefined) return undefined;
  if (kind === 'gelf') return readGelfMessage(record, text, arrivedAt);
  return source.listener === hecListener
    ? readHecEvent(record, text, arrivedAt)
    : readJsonRecord(record, text, arrivedAt);
}
