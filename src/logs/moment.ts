import { parseDuration } from '../config/values.ts';

// ISO 8601, as RFC 3339 profiles it; a date alone, and a time without a zone, are UTC.
const iso = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/i;

/** What a moment may look like, for messages. */
export const momentForms = 'a time such as 2026-08-03T10:00:00Z, a while ago such as 5m, or ms since 1970';

/** A moment in ms since 1970; undefined where the text names none. `now` likewise. */
export function parseMoment(text: string, now: number): number | undefined {
  const ago = parseDuration(text);
  if (ago !== undefined) return now - ago;
  if (/^\d{9,15}$/.test(text)) return Number(text);
  const match = iso.exec(text);
  if (match === null) return undefined;
  const withZone = text.length > 10 && match[1] === undefined ? `${text}Z` : text;
  const time = Date.parse(withZone.replace(' ', 'T'));
  return Number.isNaN(time) ? undefined : time;
}
