/** The longest key, in UTF-16 units, and the deepest nesting of what is indexed as `flattened`. */
const longestKey = 255;
const deepest = 8;

/**
 * Values as Elasticsearch's `flattened` type takes them: key and value of a leaf make one term of at most 32,766 bytes,
 * a NUL divides them, and objects nest 20 deep at most. So keys are cut, and what lies deeper becomes JSON text.
 */
export function flattenable(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return isFlat(fields) ? fields : copyObject(fields, 1);
}

/** Whether it is so already, as most are: of short keys, and without objects in it. */
function isFlat(fields: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(fields).every(([key, value]) => {
    if (typeof value === 'object' && value !== null) return false;
    if (typeof value === 'string' && !value.isWellFormed()) return false;
    return key.length <= longestKey && !key.includes('\0') && key.isWellFormed();
  });
}

function copyObject(object: object, depth: number): Record<string, unknown> {
  // Without a prototype `__proto__` is a key like another.
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(object)) copy[plainKey(key)] = copyValue(value, depth);
  return copy;
}

function copyValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= deepest) return JSON.stringify(value).toWellFormed();
  if (Array.isArray(value)) return value.map((item: unknown) => copyValue(item, depth + 1));
  return copyObject(value, depth + 1);
}

function plainKey(key: string): string {
  return key.slice(0, longestKey).replaceAll('\0', '\ufffd').toWellFormed();
}
