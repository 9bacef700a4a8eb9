import { isModest } from './bounds.ts';
import { dockerClaims } from './docker-claims.ts';
import { pieceLength } from './joiner.ts';
import { jsonPart } from './json-part.ts';
import type { Message } from './message.ts';
import { levels } from './render-ecs.ts';
import { resolveJsonTime } from './time.ts';

/** Fields of Docker's `gelf` driver (moby, daemon/logger/gelf/gelf.go) that are neither labels nor variables. */
const dockers: ReadonlySet<string> = new Set(
  '_container_id _container_name _image_id _image_name _tag _command _created'.split(' '),
);

/**
 * Reads a message of the Graylog Extended Log Format, version 1.1: fields of its own, and those that others add, with a
 * `_` before their names. `text` is its JSON text, which stands in for a message. `undefined`: it is more than anyone
 * logs.
 */
export function readGelfMessage(record: object, text: string, arrivedAt: number): Message | undefined {
  if (!isModest(record)) return undefined;
  const own: Record<string, unknown> = Object.create(null);
  const added: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(record)) (key.startsWith('_') ? added : own)[key] = value;

  const { version: _, host, short_message: short, full_message: full, timestamp, level, ...others } = own;
  const resolved = resolveJsonTime(timestamp, arrivedAt) ?? { timestamp: arrivedAt, exact: true };
  const severity = Number(level);
  const name = levels[severity];
  const message = textOf(full) ?? textOf(short) ?? (short === '' ? '' : text);
  const common = {
    ...(resolved.exact ? { time: resolved } : { time: resolved, timeOriginal: String(timestamp) }),
    ...(name !== undefined && { level: name }),
    tags: [],
    ecs: {},
  };
  const id = textOf(added['_container_id']);
  if (id === undefined) {
    const fields = { ...others, ...(full !== undefined && short !== undefined && { short_message: short }) };
    const claims = textOf(host) === undefined ? {} : { host: textOf(host) ?? '' };
    return { ...common, claims, message, fields: { ...fields, ...withoutUnderscore(added) } };
  }
  const { _command: command, _created: created } = added;
  const labels = Object.fromEntries(Object.entries(added).filter(([key]) => !dockers.has(key)));
  return {
    ...common,
    claims: dockerClaims({
      id,
      host: textOf(host),
      tag: textOf(added['_tag']),
      name: textOf(added['_container_name']),
      image: textOf(added['_image_name']),
      imageId: textOf(added['_image_id']),
      labels: withoutUnderscore(labels),
    }),
    message: message.endsWith('\r') ? message.slice(0, -1) : message,
    ...(severity === 6 && { stream: 'stdout' as const }),
    ...(severity === 3 && { stream: 'stderr' as const }),
    fields: { ...others, ...(command !== undefined && { command }), ...(created !== undefined && { created }) },
    part: jsonPart(`${id}\0${severity}`, message, [pieceLength]),
  };
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value.toWellFormed() : undefined;
}

function withoutUnderscore(added: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(added).map(([key, value]) => [key.slice(1), value]));
}
