import { parseImageName } from './image-name.ts';
import type { Claims } from './tagger.ts';
import { resolveJsonTime, type Resolved } from './time.ts';

/** What a JSON record says. */
export interface JsonRecord {
  readonly claims: Claims;
  readonly message: string;
  readonly time: Resolved;
  readonly timeOriginal?: string;
  readonly level?: string;
  readonly stream?: 'stdout' | 'stderr';
  readonly tags: readonly string[];
  /** ECS objects: `service`, `trace`, `span`, `error`. */
  readonly ecs: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** All else, as it came. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * ECS fields that a record may bring, nested or dotted, and the short names. Others are kept under `fields`: what shiplog
 * says itself (`event`, `data_stream`, `source`, digests) is not the sender's to say.
 */
const places: ReadonlyMap<string, string> = new Map(
  [
    'message log.level host.name orchestrator.cluster.name container.id container.name container.runtime',
    'container.image.name container.image.tag shiplog.stream',
    'service.name trace.id span.id error.message error.type error.stack_trace',
  ]
    .join(' ')
    .split(' ')
    .map((name): [string, string] => [name, name])
    .concat([
      ['msg', 'msg'],
      ['level', 'log.level'],
      ['host', 'host.name'],
      ['cluster', 'orchestrator.cluster.name'],
      ['container', 'container.name'],
      ['image', 'container.image.name'],
      ['stream', 'shiplog.stream'],
    ]),
);

const objects: ReadonlySet<string> = new Set(
  [...places.values()].flatMap((name) => {
    const parts = name.split('.');
    return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('.'));
  }),
);

const times = ['@timestamp', 'timestamp', 'time'] as const;
const mostTags = 32;

/** Reads a record. `text` is its JSON text, which stands in for a message. */
export function readJsonRecord(record: object, text: string, arrivedAt: number): JsonRecord {
  const found = new Map<string, string>();
  const fields = sift(record, '', found);
  const time = takeTime(fields, arrivedAt);
  const tags = takeTags(fields);
  const stream = found.get('shiplog.stream');
  const [message, msg] = [found.get('message'), found.get('msg')];
  if (message !== undefined && msg !== undefined) fields['msg'] = msg;
  const known = stream === 'stdout' || stream === 'stderr' ? stream : undefined;
  if (stream !== undefined && known === undefined) fields['stream'] = stream;
  const level = found.get('log.level')?.toLowerCase();
  return {
    claims: claimsOf(found),
    message: message ?? msg ?? text,
    ...time,
    ...(level !== undefined && { level }),
    ...(known !== undefined && { stream: known }),
    tags,
    ecs: ecsOf(found),
    fields,
  };
}

/** Takes what has a place out of an object, by dotted name; answers the rest of it. The first of a name counts. */
function sift(object: object, prefix: string, found: Map<string, string>): Record<string, unknown> {
  const rest: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(object)) {
    const name = prefix + key;
    const place = places.get(name);
    if (
      place !== undefined &&
      isScalar(value) &&
      !found.has(place) &&
      (typeof value === 'string' || (name !== 'message' && name !== 'msg'))
    ) {
      found.set(place, String(value).toWellFormed());
    } else if (name === 'container.image.tag' && Array.isArray(value) && value.length === 1 && isScalar(value[0])) {
      found.set(name, String(value[0]).toWellFormed());
    } else if (objects.has(name) && typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const left = sift(value, `${name}.`, found);
      if (Object.keys(left).length > 0) rest[key] = left;
    } else {
      rest[key] = value;
    }
  }
  return rest;
}

function isScalar(value: unknown): value is string | number | boolean {
  return (typeof value === 'string' && value !== '') || typeof value === 'number' || typeof value === 'boolean';
}

function takeTime(
  fields: Record<string, unknown>,
  arrivedAt: number,
): { readonly time: Resolved; readonly timeOriginal?: string } {
  for (const key of times) {
    const value = fields[key];
    const time = resolveJsonTime(value, arrivedAt);
    if (time === undefined) continue;
    delete fields[key];
    return time.exact ? { time } : { time, timeOriginal: String(value) };
  }
  return { time: { timestamp: arrivedAt, exact: true } };
}

function takeTags(fields: Record<string, unknown>): readonly string[] {
  const { tags } = fields;
  if (!Array.isArray(tags) || tags.length > mostTags) return [];
  const texts = tags.filter((tag) => typeof tag === 'string').map((tag) => tag.toWellFormed());
  if (texts.length !== tags.length) return [];
  delete fields['tags'];
  return texts;
}

function claimsOf(found: ReadonlyMap<string, string>): Claims {
  const claim = <K extends keyof Claims>(key: K, name: string): { readonly [key in K]?: string } => {
    const claims: { [key in K]?: string } = {};
    const value = found.get(name);
    if (value !== undefined) claims[key] = value;
    return claims;
  };
  const [image, tag] = [found.get('container.image.name'), found.get('container.image.tag')];
  const untagged = image !== undefined && parseImageName(image).name === image;
  return {
    ...claim('host', 'host.name'),
    ...claim('cluster', 'orchestrator.cluster.name'),
    ...claim('containerId', 'container.id'),
    ...claim('containerName', 'container.name'),
    ...claim('runtime', 'container.runtime'),
    ...(image !== undefined && { image: untagged && tag !== undefined ? `${image}:${tag}` : image }),
  };
}

function ecsOf(found: ReadonlyMap<string, string>): Record<string, Record<string, string>> {
  const ecs: Record<string, Record<string, string>> = {};
  for (const name of ['service.name', 'trace.id', 'span.id', 'error.message', 'error.type', 'error.stack_trace']) {
    const value = found.get(name);
    const [object = '', key = ''] = name.split('.');
    if (value !== undefined) (ecs[object] ??= {})[key] = value;
  }
  return ecs;
}

/** What may be a number that JavaScript would change. */
const longNumber = /[\d.]{16}|\d[eE]/;

/** A number that JavaScript would change becomes the text that it came as: ids of 64 bits are such. */
function exactly(_: string, value: unknown, { source = '' }: { readonly source?: string } = {}): unknown {
  if (typeof value !== 'number' || String(value) === source) return value;
  const digits = source.replace(/[eE].*|[-.]/g, '').replace(/^0+/, '');
  const held = Number.isFinite(value) && (value !== 0 || digits === '') && digits.length <= 15;
  return held ? value : source;
}

/** A JSON object, whose numbers are what they were; undefined: the text is none. */
export function parseObject(text: string): object | undefined {
  try {
    const value: unknown = longNumber.test(text) ? JSON.parse(text, exactly) : JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
