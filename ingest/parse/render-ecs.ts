import { Buffer } from 'node:buffer';
import type { ByteWriter } from '../byte-writer.ts';
import type { CommonFacts, ContainerFacts, Own, SyslogHeader } from '../record.ts';
import { flattenable } from './flattened.ts';
import { formatTime, writeTime } from './time.ts';

/** Common facts as members of JSON, which are written behind `event.sequence`. */
export interface Common {
  /** All of them but `shiplog`; the first is `event.dataset`, which ends that object. */
  readonly members: Buffer;
  /** The same without `log`, and what is in that beside level and logger: for records that say these themselves. */
  readonly others: Buffer;
  readonly syslog: object;
  readonly level?: string;
  /** `log` of records that say so themselves, by what they say. */
  readonly logs: Map<string, Buffer>;
  /** `shiplog`, and how it begins where a record has a `time_original`, which is its last member. */
  readonly shiplog: Buffer;
  readonly shiplogWithTime: Buffer;
}

/** A message that is written as it came: these bytes of it, which are UTF-8. */
export interface RawMessage {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** What a document says of how its record came. */
export interface Receipt {
  /** From behind the message to `event.sequence`. */
  readonly event: Buffer;
  /** `event.sequence` */
  readonly sequence: number;
}

/** What the configuration says of every document. */
export interface DocumentOptions {
  readonly dataset: string;
  readonly namespace: string;
}

/** Severities of RFC 5424 section 6.2.1 as `log.level`: their own names, but `info` as everyone writes it. */
export const levels = ['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug'] as const;

/** Renders what is common once. All text from the wire passes `JSON.stringify`. */
export function renderCommon(facts: CommonFacts, { dataset, namespace }: DocumentOptions): Common {
  const { host, cluster, level, stream, syslog, container, source } = facts;
  const objects = {
    data_stream: { type: 'logs', dataset, namespace },
    host: { name: host },
    orchestrator: { cluster: { name: cluster } },
    ...(container && containerObject(container)),
    ...(source && { source }),
  };
  const header = syslog ? { syslog: syslogObject(syslog) } : {};
  const others = `,"dataset":${JSON.stringify(dataset)}},${membersOf(objects)}`;
  const members = level === undefined && !syslog ? others : `${others},${membersOf({ log: { level, ...header } })}`;
  const shiplog = membersOf(shiplogObject(stream, container));
  return {
    members: Buffer.from(members),
    others: Buffer.from(others),
    syslog: header,
    ...(level !== undefined && { level }),
    logs: new Map(),
    shiplog: Buffer.from(shiplog === '' ? '' : `,"shiplog":{${shiplog}}`),
    shiplogWithTime: Buffer.from(`,"shiplog":{${shiplog}${shiplog === '' ? '' : ','}"time_original":`),
  };
}

/** What is the same for all records of a block. Times in µs since 1970. */
export function renderReceipt(createdAt: number, ingestedAt: number): Buffer {
  return Buffer.from(
    `,"event":{"created":"${formatTime(createdAt)}","ingested":"${formatTime(ingestedAt)}","sequence":`,
  );
}

const [beginTime, endTime, brace] = [Buffer.from('{"@timestamp":"'), Buffer.from('","message":'), Buffer.from('}')];
const quote = Buffer.from('"');

/** Room for what is of about the same length in all documents, in bytes. */
const room = 256;

/** Writes a document. `raw`: its message, if it is written as it came. */
export function renderDocument(
  writer: ByteWriter,
  own: Own,
  tags: readonly string[],
  common: Common,
  receipt: Receipt,
  raw?: RawMessage,
): void {
  const { timestamp, message, timeOriginal, error, ecs, fields, level = common.level, logger } = own;
  writer.reserve(room);
  writer.bytes(beginTime);
  writeTime(writer, timestamp);
  writer.bytes(endTime);
  if (raw === undefined) writer.json(message);
  else {
    writer.bytes(quote);
    writer.escaped(raw.bytes, raw.start, raw.end);
    writer.reserve(room);
    writer.bytes(quote);
  }
  const { event, sequence } = receipt;
  writer.reserve(room + event.length + common.members.length);
  writer.bytes(event);
  writer.integer(sequence);
  if (logger === undefined && level === common.level) writer.bytes(common.members);
  else {
    writer.bytes(common.others);
    writer.copy(renderLog(common, level, logger));
  }
  if (timeOriginal === undefined) writer.copy(common.shiplog);
  else {
    writer.copy(common.shiplogWithTime);
    writer.copy(renderTimeOriginal(timeOriginal));
  }
  if (tags.length > 0) writer.text(`,"tags":${JSON.stringify(tags)}`);
  if (error !== undefined && ecs?.['error'] === undefined) writer.text(`,"error":{"message":${JSON.stringify(error)}}`);
  const members = ecs === undefined ? '' : membersOf(ecs);
  if (members !== '') writer.text(`,${members}`);
  if (fields !== undefined) writer.text(`,"fields":${JSON.stringify(flattenable(fields))}`);
  writer.reserve(room);
  writer.bytes(brace);
}

/** Levels and loggers whose rendering is kept for a header, and the longest, in characters. */
const [mostLogs, longestLogger] = [4, 64];

/** The member `log` of a record that says of itself what its header does not. */
function renderLog({ logs, syslog }: Common, level: string = '', logger: string = ''): Buffer {
  const key = `${level} ${logger}`;
  const known = logs.get(key);
  if (known !== undefined) return known;
  const own = { ...(level !== '' && { level }), ...(logger !== '' && { logger }) };
  const rendered = Buffer.from(`,${membersOf({ log: { ...own, ...syslog } })}`);
  if (logs.size >= mostLogs) logs.clear();
  if (logger.length <= longestLogger) logs.set(key, rendered);
  return rendered;
}

let lastTimeOriginal = { text: '', bytes: Buffer.from('""}') };

/** With the end of its object. A stamp of whole seconds is that of many lines. */
function renderTimeOriginal(text: string): Buffer {
  if (text !== lastTimeOriginal.text) lastTimeOriginal = { text, bytes: Buffer.from(`${JSON.stringify(text)}}`) };
  return lastTimeOriginal.bytes;
}

/** The members of an object as JSON, without its braces. */
function membersOf(object: object): string {
  return JSON.stringify(object).slice(1, -1);
}

function containerObject(facts: ContainerFacts): { readonly container?: object } {
  const { id, name, runtime, imageName, imageTag, imageHashes, labels } = facts;
  const image = {
    name: imageName,
    ...(imageTag !== undefined && { tag: [imageTag] }),
    ...(imageHashes && { hash: { all: imageHashes } }),
  };
  const container = {
    id,
    name,
    runtime,
    ...(imageName !== undefined && { image }),
    ...(labels && { labels: flattenable(labels) }),
  };
  return { container };
}

function syslogObject({ priority, appname, procid, msgid, structuredData }: SyslogHeader): object {
  return {
    ...(priority !== undefined && { priority, facility: { code: priority >> 3 }, severity: { code: priority & 7 } }),
    appname,
    procid,
    msgid,
    ...(structuredData && { structured_data: flattenable(structuredData) }),
  };
}

function shiplogObject(stream: CommonFacts['stream'], container: ContainerFacts | undefined): object {
  const repository = container?.repository;
  const revision = container?.labels?.['org.opencontainers.image.revision'];
  return {
    stream,
    ...((repository !== undefined || revision !== undefined) && { image: { repository, revision } }),
  };
}
