import { Buffer } from 'node:buffer';
import type { StoredBlock } from '../block.ts';
import { readForwardEvent } from './forward.ts';
import { tagOf } from './frames.ts';
import { readGelfMessage } from './gelf.ts';
import { readHecEvent } from './hec.ts';
import { parseObject, readJsonRecord } from './json.ts';
import { hecListener, type Message } from './message.ts';
import { contentOfText, type Text } from './texts.ts';

/** Reads a frame. Undefined: it is not what the kind of its block says. */
export type ReadMessage = (text: Text) => Message | undefined;

/**
 * How the frames of a block are read that are messages with fields; undefined: they are none, but lines with a header.
 */
export function messageReader(block: StoredBlock): ReadMessage | undefined {
  const { kind, payload, source, arrivedAt } = block;
  switch (kind) {
    case 'forward': {
      const tag = Buffer.from(tagOf(block)).toString();
      return ({ frame: { start, end } }) => readForwardEvent(tag, payload.subarray(start, end), arrivedAt);
    }
    case 'gelf':
      return onObjects((record, text) => readGelfMessage(record, text, arrivedAt));
    case 'json-records':
      return source.listener === hecListener
        ? onObjects((record, text) => readHecEvent(record, text, arrivedAt))
        : onObjects((record, text) => readJsonRecord(record, text, arrivedAt));
    case 'lf-stream':
    case 'octet-stream':
    case 'datagrams':
    case 'mark':
      return undefined;
  }
}

function onObjects(read: (record: object, text: string) => Message | undefined): ReadMessage {
  return (text) => {
    const { cut, continued } = text.frame;
    const content = contentOfText(text);
    const record = cut || continued ? undefined : parseObject(content);
    return record && read(record, content);
  };
}
