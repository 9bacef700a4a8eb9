import { z } from 'zod';

/*
 * Zod tells of everything that is wrong. Of a document that strangers send, with millions of wrong entries, that takes
 * minutes and gigabytes; these schemas stop at the first.
 */

/** As `z.array`. */
export function list<T>(entry: z.ZodType<T>): z.ZodType<T[]> {
  return z.array(z.unknown()).transform((values, context) => {
    const entries: T[] = [];
    for (const [place, value] of values.entries()) {
      const { success, data, error } = entry.safeParse(value);
      if (!success) {
        for (const { message, path } of error.issues) {
          context.addIssue({ code: 'custom', message, path: [place, ...path] });
        }
        return z.NEVER;
      }
      entries.push(data);
    }
    return entries;
  });
}

/** As `z.record` of strings. */
export const strings: z.ZodType<Record<string, string>> = z
  .custom<object>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'expected an object')
  .transform((values, context) => {
    const entries: [string, string][] = [];
    for (const [key, value] of Object.entries(values)) {
      if (typeof value !== 'string') {
        context.addIssue({ code: 'custom', message: 'expected a text', path: [key] });
        return z.NEVER;
      }
      entries.push([key, value]);
    }
    return Object.fromEntries(entries);
  });
