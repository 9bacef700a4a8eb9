import type { ContainerFacts, LogRecord, SyslogHeader } from '../record.ts';
import { flattenable } from './flattened.ts';
import { formatTime } from './time.ts';

/** What all records of one source and tag have in common. */
export type CommonFacts = Pick<LogRecord, 'host' | 'cluster' | 'level' | 'stream' | 'syslog' | 'container' | 'source'>;

/** Common facts as JSON members, without the braces around them. */
export interface Common {
  readonly members: string;
  /** The same without `log`, and what is in that beside level and logger: for records that say these themselves. */
  readonly others: string;
  readonly syslog: object;
  readonly level?: string;
  /** Those of the object `shiplog`. */
  readonly shiplog: string;
  /** `event.dataset` as JSON text. */
  readonly dataset: string;
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
  const others = membersOf(objects);
  return {
    members: level === undefined && !syslog ? others : `${others},${membersOf({ log: { level, ...header } })}`,
    others,
    syslog: header,
    ...(level !== undefined && { level }),
    shiplog: membersOf(shiplogObject(stream, container)),
    dataset: JSON.stringify(dataset),
  };
}

/** A document as JSON text. `ingested`: `event.ingested`, as text. */
export function renderDocument(record: LogRecord, common: Common, ingested: string): string {
  const { timestamp, createdAt, message, sequence, timeOriginal, tags, error, ecs, fields, level, logger } = record;
  let shiplog = common.shiplog;
  if (timeOriginal !== undefined) {
    shiplog += `${shiplog === '' ? '' : ','}"time_original":${JSON.stringify(timeOriginal)}`;
  }
  let json = `{"@timestamp":"${formatTime(timestamp)}","message":${JSON.stringify(message)},"event":{"created":"`;
  json += `${formatCreated(createdAt)}","ingested":"${ingested}","sequence":${sequence},"dataset":${common.dataset}},`;
  const own = logger !== undefined || level !== common.level;
  json += own ? common.others : common.members;
  if (own) json += `,${membersOf({ log: { level, logger, ...common.syslog } })}`;
  if (shiplog !== '') json += `,"shiplog":{${shiplog}}`;
  if (tags !== undefined) json += `,"tags":${JSON.stringify(tags)}`;
  if (error !== undefined && ecs?.['error'] === undefined) json += `,"error":{"message":${JSON.stringify(error)}}`;
  if (ecs !== undefined) {
    const members = membersOf(ecs);
    if (members !== '') json += `,${members}`;
  }
  if (fields !== undefined) json += `,"fields":${JSON.stringify(flattenable(fields))}`;
  return flat(`${json}}`);
}

/** V8 keeps a text that was put together as a tree of its parts, which costs the more the longer it lives. */
function flat(text: string): string {
  // Asking for the code of a character makes it one piece.
  text.charCodeAt(0);
  return text;
}

let lastCreated = Number.NaN;
let lastCreatedText = '';

/** One arrival is that of a whole block. */
function formatCreated(createdAt: number): string {
  if (createdAt !== lastCreated) {
    lastCreatedText = formatTime(createdAt);
    lastCreated = createdAt;
  }
  return lastCreatedText;
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

function shiplogObject(stream: LogRecord['stream'], container: ContainerFacts | undefined): object {
  const repository = container?.repository;
  const revision = container?.labels?.['org.opencontainers.image.revision'];
  return {
    stream,
    ...((repository !== undefined || revision !== undefined) && { image: { repository, revision } }),
  };
}
