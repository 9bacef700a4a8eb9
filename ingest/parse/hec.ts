import { dockerClaims } from './docker-claims.ts';
import { parseDockerTag } from './docker-tag.ts';
import { pieceLength } from './joiner.ts';
import { readJsonRecord } from './json.ts';
import { jsonPart } from './json-part.ts';
import type { Message } from './message.ts';
import type { Claims } from './tagger.ts';
import { resolveJsonTime } from './time.ts';

/**
 * Bytes of the parts that Docker cuts long lines into for its `splunk` driver: what that asks for (moby,
 * daemon/logger/splunk/splunk.go, BufSize), but what others get while Docker keeps the lines for `docker logs` too.
 */
const partLengths = [80 * 1024, pieceLength];

/** What an event of Splunk's HTTP Event Collector has around it ("Format events for HTTP Event Collector"). */
interface Envelope {
  readonly claims: Claims;
  readonly time: Pick<Message, 'time' | 'timeOriginal'>;
  /** Whatever has no place of its own. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * Reads an event of Splunk's HTTP Event Collector: of Docker's `splunk` driver in its three formats, or anyone's.
 * `text` is its JSON text, which stands in for a message.
 */
export function readHecEvent(record: object, text: string, arrivedAt: number): Message {
  const { event, time, host, ...fields }: { event?: unknown; time?: unknown; host?: unknown } = record;
  const resolved = resolveJsonTime(time, arrivedAt) ?? { timestamp: arrivedAt, exact: true };
  const envelope: Envelope = {
    claims: typeof host === 'string' && host !== '' ? { host: host.toWellFormed() } : {},
    time: resolved.exact ? { time: resolved } : { time: resolved, timeOriginal: String(time) },
    fields,
  };
  if (typeof event === 'string') return rawEvent(event.toWellFormed(), envelope);
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    return plain(event === undefined ? text : JSON.stringify(event), envelope);
  }
  const { line, source, tag, attrs }: { line?: unknown; source?: unknown; tag?: unknown; attrs?: unknown } = event;
  if (line !== undefined && (source === 'stdout' || source === 'stderr')) {
    const labels = typeof attrs === 'object' && attrs !== null ? Object.fromEntries(Object.entries(attrs)) : {};
    return dockerEvent(line, source, typeof tag === 'string' ? tag : '', labels, envelope);
  }
  const read = readJsonRecord(event, JSON.stringify(event).toWellFormed(), arrivedAt);
  const { claims, ...rest } = read;
  return {
    ...rest,
    ...(time !== undefined && envelope.time),
    claims: { ...envelope.claims, ...claims },
    fields: { ...envelope.fields, ...read.fields },
  };
}

function plain(message: string, { claims, time, fields }: Envelope): Message {
  return { claims, message, ...time, tags: [], ecs: {}, fields };
}

/** `splunk-format=raw` writes tag, labels and variables before the line; only where the tag ends can be told. */
function rawEvent(event: string, envelope: Envelope): Message {
  const space = event.indexOf(' ');
  const tag = event.slice(0, Math.max(space, 0));
  if (parseDockerTag(tag, false) === undefined) return plain(event, envelope);
  return plain(event.slice(space + 1), { ...envelope, claims: dockerClaims({ tag, ...envelope.claims }) });
}

function dockerEvent(
  line: unknown,
  source: 'stdout' | 'stderr',
  tag: string,
  labels: Readonly<Record<string, unknown>>,
  { claims, time, fields }: Envelope,
): Message {
  const message = typeof line === 'string' ? line.toWellFormed() : JSON.stringify(line).toWellFormed();
  return {
    claims: dockerClaims({ tag, labels, ...claims }),
    message: message.endsWith('\r') ? message.slice(0, -1) : message,
    ...time,
    stream: source,
    tags: [],
    ecs: {},
    fields,
    part: jsonPart(`${source}\0${tag}`, message, partLengths),
  };
}
