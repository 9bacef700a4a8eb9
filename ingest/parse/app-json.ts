import { isModest } from './bounds.ts';
import { parseObject } from './json.ts';
import { levelInText, levelOf } from './level.ts';
import type { Own } from '../record.ts';
import { resolveJsonTime } from './time.ts';

/** Names of Serilog's compact format (CLEF): such a line has a time, and no level where that is `Information`. */
const clefTime = '@t';

/** A name as it may stand in an object: whole, or as the name of a member of a member. */
interface Place {
  readonly name: string;
  readonly nested?: readonly [outer: string, inner: string];
}

function placesOf(names: string): readonly Place[] {
  return names.split(' ').map((name) => {
    const dot = name.indexOf('.');
    return dot < 0 ? { name } : { name, nested: [name.slice(0, dot), name.slice(dot + 1)] };
  });
}

/** Where loggers put what has a place of its own; the first that is there counts. */
const places = {
  time: placesOf(`@timestamp timestamp time ts ${clefTime} asctime Timestamp`),
  level: placesOf('log.level level levelname severity lvl @l LogLevel'),
  message: placesOf('message msg @m @mt event Message'),
  logger: placesOf('log.logger logger logger_name loggerName SourceContext Category'),
  name: placesOf('name'),
  trace: placesOf('trace.id trace_id traceId TraceId @tr'),
  span: placesOf('span.id span_id spanId SpanId @sp'),
  service: placesOf('service.name'),
  errorMessage: placesOf('error.message err.message exception.message thrown.message error err'),
  errorType: placesOf('error.type err.type err.name error.name exception.type thrown.name'),
  stackTrace: placesOf(
    'error.stack_trace err.stack error.stack exception.stacktrace thrown.extendedStackTrace stack_trace stacktrace stack exc_info @x',
  ),
} as const;

/** Which of the places may be found by a name at the top of an object: a bit for each. */
const bits: ReadonlyMap<string, number> = bitsByName();

function bitsByName(): Map<string, number> {
  const found = new Map<string, number>();
  for (const [index, among] of Object.values(places).entries()) {
    for (const { name, nested } of among) {
      for (const top of nested === undefined ? [name] : [name, nested[0]]) {
        found.set(top, (found.get(top) ?? 0) | (1 << index));
      }
    }
  }
  return found;
}

/** The bit of each of the places. */
const bitOf = new Map(Object.values(places).map((among, index): [readonly Place[], number] => [among, 1 << index]));

/** The members of an object, as some are taken. */
class Members {
  readonly #object: Readonly<Record<string, unknown>>;
  /** What of it was taken wholly, or what is left of it. */
  readonly #changed = new Map<string, unknown>();
  readonly #bits: number;

  constructor(object: Readonly<Record<string, unknown>>) {
    this.#object = object;
    let found = 0;
    for (const name of Object.keys(object)) found |= bits.get(name) ?? 0;
    this.#bits = found;
  }

  /** Whether one of these may be there. */
  has(among: readonly Place[]): boolean {
    return (this.#bits & (bitOf.get(among) ?? 0)) !== 0;
  }

  get(name: string): unknown {
    if (this.#changed.size > 0 && this.#changed.has(name)) return this.#changed.get(name);
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }

  /** Undefined: the whole member is taken. */
  leave(name: string, rest: unknown): void {
    this.#changed.set(name, rest);
  }

  /** What was not taken, beside what another object has; undefined: nothing. */
  restBeside(fields: Own['fields']): Own['fields'] {
    let rest: Record<string, unknown> | undefined = fields && copyOf(fields);
    for (const [name, value] of Object.entries(this.#object)) {
      const left = this.#changed.has(name) ? this.#changed.get(name) : value;
      if (left !== undefined) (rest ??= newObject(this.#object))[name] = left;
    }
    return rest;
  }
}

/** An object that can have the members of another: without a prototype `__proto__` is a key like another. */
function newObject(like: object): Record<string, unknown> {
  return Object.hasOwn(like, '__proto__') ? Object.create(null) : {};
}

/**
 * Reads what an application wrote, as far as it says more than a text: JSON by pino, bunyan, ECS loggers, logback, Python's
 * loggers, zap, winston, Serilog and their like, or a text with a level. Where it comes from is not the application's to
 * say. Answers `own` itself where the line says no more. A time counts as that of a header would. Never throws.
 */
export function readApplication(own: Own, arrivedAt: number): Own {
  const { message } = own;
  const first = message.charCodeAt(0);
  if (first !== 123) {
    const level = levelInText(message, first);
    return level === undefined ? own : { ...own, level };
  }
  const object = parseObject(message);
  return object === undefined || !isModest(object) ? own : readObject(own, { ...object }, arrivedAt);
}

function readObject(own: Own, object: Readonly<Record<string, unknown>>, arrivedAt: number): Own {
  const members = new Members(object);
  const level = takeLevel(members);
  const logger =
    takeText(members, places.logger) ?? (level?.byName === true ? takeText(members, places.name) : undefined);
  const message = takeText(members, places.message);
  const time = takeTime(members, arrivedAt);
  const ecs = ecsPlaces.some((among) => members.has(among)) ? takeEcs(members) : {};
  const { timeOriginal: _, ...others } = own;
  const fields = members.restBeside(own.fields);
  return {
    ...(time === undefined ? own : { ...others, ...time }),
    ...(message !== undefined && { message }),
    ...(level !== undefined && { level: level.level }),
    ...(logger !== undefined && { logger }),
    ...(Object.keys(ecs).length > 0 && { ecs: { ...own.ecs, ...ecs } }),
    ...(fields !== undefined && { fields }),
  };
}

const ecsPlaces = [
  places.service,
  places.trace,
  places.span,
  places.errorMessage,
  places.errorType,
  places.stackTrace,
] as const;

function takeEcs(members: Members): Readonly<Record<string, object>> {
  return {
    ...objectOf('service', { name: takeText(members, places.service) }),
    ...objectOf('trace', { id: takeText(members, places.trace) }),
    ...objectOf('span', { id: takeText(members, places.span) }),
    ...objectOf('error', {
      message: takeText(members, places.errorMessage),
      type: takeText(members, places.errorType),
      stack_trace: takeText(members, places.stackTrace),
    }),
  };
}

/** A copy to which members can be added. Without a prototype `__proto__` is a key like another. */
function copyOf(object: object): Record<string, unknown> {
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(object)) copy[key] = value;
  return copy;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Takes what stands at the first of some places that is of use. */
function takeFirst<T>(
  members: Members,
  among: readonly Place[],
  read: (value: unknown) => T | undefined,
): { readonly name: string; readonly raw: unknown; readonly value: T } | undefined {
  if (!members.has(among)) return undefined;
  for (const { name, nested } of among) {
    const raw = members.get(name);
    const value = raw === undefined ? undefined : read(raw);
    if (value !== undefined) {
      members.leave(name, undefined);
      return { name, raw, value };
    }
    const found = nested && takeNested(members, nested, read);
    if (found) return { name, ...found };
  }
  return undefined;
}

function takeNested<T>(
  members: Members,
  [outer, inner]: readonly [string, string],
  read: (value: unknown) => T | undefined,
): { readonly raw: unknown; readonly value: T } | undefined {
  const object = members.get(outer);
  if (!isObject(object) || !Object.hasOwn(object, inner)) return undefined;
  const { [inner]: raw, ...rest } = copyOf(object);
  const value = read(raw);
  if (value === undefined) return undefined;
  members.leave(outer, Object.keys(rest).length === 0 ? undefined : copyOf(rest));
  return { raw, value };
}

function takeText(members: Members, among: readonly Place[]): string | undefined {
  return takeFirst(members, among, (value) =>
    typeof value === 'string' && value !== '' ? value.toWellFormed() : undefined,
  )?.value;
}

/** The level; and whether it is written as bunyan, pino or Python do, for whom `name` is that of the logger. */
function takeLevel(members: Members): { readonly level: string; readonly byName: boolean } | undefined {
  const found = takeFirst(members, places.level, levelOf);
  if (found !== undefined) {
    return { level: found.value, byName: typeof found.raw === 'number' || found.name === 'levelname' };
  }
  const isClef = members.get(clefTime) !== undefined && members.get('@l') === undefined;
  return isClef ? { level: 'info', byName: false } : undefined;
}

/** A time that tells more than the arrival; as it came, where something was guessed. */
function takeTime(members: Members, arrivedAt: number): Pick<Own, 'timestamp' | 'timeOriginal'> | undefined {
  const found = takeFirst(members, places.time, (value) => {
    const time = resolveJsonTime(value, arrivedAt);
    return time === undefined || (!time.exact && time.timestamp === arrivedAt) ? undefined : time;
  });
  if (found === undefined) return undefined;
  const { timestamp, exact } = found.value;
  return exact ? { timestamp } : { timestamp, timeOriginal: String(found.raw).toWellFormed() };
}

function objectOf(
  name: string,
  members: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const defined: Record<string, string> = {};
  for (const [key, value] of Object.entries(members)) if (value !== undefined) defined[key] = value;
  return Object.keys(defined).length === 0 ? {} : { [name]: defined };
}
