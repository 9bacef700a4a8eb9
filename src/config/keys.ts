import { parseDocument } from 'yaml';
import { z } from 'zod';
import { configSchema, packageRoot } from './schema.ts';

/** A key that has a value of its own. */
export interface Key {
  /** `http.listen` */
  readonly name: string;
  readonly secret: boolean;
  /** What it is for, in Markdown. */
  readonly description: string;
  /** What its value is, in a word or two. */
  readonly kind: string;
  /** What holds where it is not given, in Markdown; undefined where that is nothing. */
  readonly fallback: string | undefined;
  /** The value that a text in the environment stands for, as a configuration file would give it. */
  readonly fromText: (text: string) => unknown;
  /** A value in force, as a configuration file would give it. */
  readonly toFile: (value: unknown) => unknown;
}

type Meta = z.core.GlobalMeta;

/** A schema without what makes it optional, and all that is said of it. */
function unwrap(schema: z.core.$ZodType, said: Meta = {}): { inner: z.core.$ZodType; meta: Meta } {
  const meta = { ...z.globalRegistry.get(schema), ...said };
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.unwrap(), meta);
  }
  return { inner: schema, meta };
}

function* leaves(schema: z.core.$ZodType, parents: readonly string[]): Generator<Key> {
  const { inner, meta } = unwrap(schema);
  if (inner instanceof z.ZodObject) {
    for (const [name, part] of Object.entries(inner.shape)) yield* leaves(part, [...parents, name]);
  } else {
    yield {
      name: parents.join('.'),
      secret: meta.secret === true,
      description: meta.description ?? '',
      kind: meta.kind ?? kindOf(inner),
      fallback: meta.fallback ?? fallbackOf(schema, inner),
      fromText: (text) => fromText(inner, text),
      toFile: (value) => z.encode(inner, value),
    };
  }
}

function kindOf(schema: z.core.$ZodType): string {
  if (schema instanceof z.ZodBoolean) return 'true or false';
  if (schema instanceof z.ZodEnum) return schema.options.join(', ').replace(/, ([^,]*)$/, ' or $1');
  if (!(schema instanceof z.ZodArray)) return 'text';
  const { inner, meta } = unwrap(schema.element);
  return `list of ${meta.kind ?? kindOf(inner)}s`;
}

function fallbackOf(schema: z.core.$ZodType, inner: z.core.$ZodType): string | undefined {
  const value = z.parse(schema, undefined);
  const given = value === undefined ? '' : String(z.encode(inner, value));
  return given === '' ? undefined : `\`${given}\``;
}

function fromText(schema: z.core.$ZodType, text: string): unknown {
  if (schema instanceof z.ZodBoolean) return { true: true, false: false }[text] ?? text;
  if (!(schema instanceof z.ZodArray)) return text;
  const { element } = schema;
  if (
    element instanceof z.ZodObject &&
    Object.values(element.shape).some((part) => unwrap(part).inner instanceof z.ZodArray)
  ) {
    return fromYaml(text);
  }
  const items = text.split(',').map((item) => item.trim());
  // `10.1.0.0/16=prod` is an entry that has two keys.
  const read = (item: string): unknown =>
    element instanceof z.ZodObject
      ? Object.fromEntries(Object.keys(element.shape).map((key, index) => [key, item.split('=')[index] ?? '']))
      : item;
  return items.filter((item) => item !== '').map(read);
}

/** Entries that have lists are written as in a file: `[{ users: [ci], … }]`. */
function fromYaml(text: string): unknown {
  const document = parseDocument(text);
  return document.errors.length === 0 ? document.toJS() : text;
}

/** Every key, by its name. */
export const keys: ReadonlyMap<string, Key> = new Map(
  [...leaves(configSchema(packageRoot), [])].map((key) => [key.name, key]),
);

/** The environment's variable for a key: `http.listen` is `SHIPLOG_HTTP_LISTEN`. */
export function variable(key: string): string {
  return `SHIPLOG_${key.toUpperCase().replaceAll('.', '_')}`;
}

/** Of some names the one that looks most like a wrong one; undefined where none does. */
export function nearest(wrong: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(wrong.length / 3)) + 1;
  for (const name of names) {
    const far = distance(wrong.toLowerCase(), name.toLowerCase());
    if (far < least) [best, least] = [name, far];
  }
  return best;
}

/** How many characters must be changed, added or removed (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
