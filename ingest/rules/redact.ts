import { isModest } from '../parse/bounds.ts';
import { parseObject } from '../parse/json.ts';
import { redactCards } from './cards.ts';

/** A text without its secrets; the same one where it has none. */
export type Redact = (text: string) => string;

/** What stands in a secret's place. */
export const redacted = '[redacted]';

/** Patterns that are built in. Each takes time in proportion to the text. */
export const builtIns = {
  // RFC 6750 section 2.1; JSON may have its slashes escaped. Shorter words are those of a sentence.
  bearer: (text) => text.replace(/\b(bearer[ :=]{1,3})[\w.~+/\\-]{8,}=*/gi, `$1${redacted}`),
  // RFC 3986 section 3.2.1.
  'url-password': (text) => text.replace(/(:(?:\\?\/){2}[^\s/?#:@"'<>]*:)[^\s/?#"'<>]+@/g, `$1${redacted}@`),
  card: (text) => redactCards(text, redacted),
} as const satisfies Readonly<Record<string, Redact>>;

/** The name of a pattern that is built in. */
export type BuiltIn = keyof typeof builtIns;

/** Redacts every text, key and number in a value; answers the same value where there is no secret in it. */
export function redactValue<T>(value: T, redact: Redact): T;
export function redactValue(value: unknown, redact: Redact): unknown {
  return redactDeep(value, redact, 1);
}

/** Objects nested deeper than this are redacted as JSON text. */
const deepest = 32;

function redactDeep(value: unknown, redact: Redact, depth: number): unknown {
  if (typeof value === 'string') return redact(value);
  if (value === null || (typeof value !== 'number' && typeof value !== 'object')) return value;
  if (typeof value === 'number' || depth > deepest) {
    const text = JSON.stringify(value);
    const without = redact(text);
    return without === text ? value : without;
  }
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => redactDeep(item, redact, depth + 1));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  let changed = false;
  // Without a prototype `__proto__` is a key like another.
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, member] of Object.entries(value)) {
    const [name, without] = [redact(key), redactDeep(member, redact, depth + 1)];
    changed ||= name !== key || without !== member;
    copy[name] = without;
  }
  return changed ? copy : value;
}

/** Members whose names and values are a sender's. Of all others the names are shiplog's, and numbers are no secrets. */
const free: ReadonlySet<string> = new Set(['fields', 'labels', 'structuredData']);
/** What is never a text of a sender's. */
const resolved: ReadonlySet<string> = new Set(['source', 'stream']);

/** Redacts the texts of a record, or of facts; answers the same where there is no secret in them. */
export function redactFacts<T>(facts: T, redact: Redact): T;
export function redactFacts(facts: unknown, redact: Redact): unknown {
  if (typeof facts === 'string') return redact(facts);
  if (typeof facts !== 'object' || facts === null) return facts;
  if (Array.isArray(facts)) {
    const items = facts.map((item: unknown) => redactFacts(item, redact));
    return items.some((item, index) => item !== facts[index]) ? items : facts;
  }
  let copy: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(facts)) {
    if (resolved.has(name)) continue;
    const without: unknown = free.has(name) ? redactValue(value, redact) : redactFacts(value, redact);
    if (without !== value) (copy ??= { ...facts })[name] = without;
  }
  return copy ?? facts;
}

/** Redacts a line; where that is a JSON object, first what it says when it is read, so that it stays one. */
export function redactLine(line: string, redact: Redact): string {
  const object = line.startsWith('{') ? parseObject(line) : undefined;
  if (object === undefined || !isModest(object)) return redact(line);
  const without = redactValue(object, redact);
  return redact(without === object ? line : JSON.stringify(without));
}
