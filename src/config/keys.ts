import { parseDocument } from 'yaml';
import { z } from 'zod';
import { configSchema, packageRoot, secrets } from './schema.ts';

/** A key that has a value of its own. */
export interface Key {
  /** `http.listen` */
  readonly name: string;
  readonly secret: boolean;
  /** The value that a text in the environment stands for, as a configuration file would give it. */
  readonly fromText: (text: string) => unknown;
  /** A value in force, as a configuration file would give it. */
  readonly toFile: (value: unknown) => unknown;
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.unwrap());
  }
  return schema;
}

function* leaves(schema: z.core.$ZodType, parents: readonly string[]): Generator<Key> {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) {
    for (const [name, part] of Object.entries(inner.shape)) yield* leaves(part, [...parents, name]);
  } else {
    yield {
      name: parents.join('.'),
      secret: secrets.has(inner),
      fromText: (text) => fromText(inner, text),
      toFile: (value) => z.encode(inner, value),
    };
  }
}

function fromText(schema: z.core.$ZodType, text: string): unknown {
  if (schema instanceof z.ZodBoolean) return { true: true, false: false }[text] ?? text;
  if (!(schema instanceof z.ZodArray)) return text;
  const { element } = schema;
  if (
    element instanceof z.ZodObject &&
    Object.values(element.shape).some((part) => unwrap(part) instanceof z.ZodArray)
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
