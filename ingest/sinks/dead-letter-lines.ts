/** A document that a sink rejected for good. */
export interface DeadLetter {
  readonly id: string;
  /** The sink's own words. */
  readonly reason: string;
  /** The document as JSON text. */
  readonly document: string;
}

/** A letter as it is kept. */
export interface KeptLetter extends DeadLetter {
  /** When it was rejected, as ISO 8601. */
  readonly at: string;
}

/** A letter as a line: `{"id":…,"reason":…,"at":"2026-11-24T12:00:00.000Z","document":{…}}`. */
export function toLine({ id, reason, document }: DeadLetter): string {
  const head = JSON.stringify({ id, reason, at: new Date().toISOString() }).slice(0, -1);
  return `${head}${separator}${isJson(document) ? document : JSON.stringify(document)}}\n`;
}

/** The letter of a line without its LF, the document as it was; undefined: it is none. */
export function fromLine(line: string): KeptLetter | undefined {
  // No text within the line's head has this: its quotes are escaped there.
  const end = line.indexOf(separator);
  if (end < 0 || !line.endsWith('}')) return undefined;
  try {
    const { id, reason, at }: Partial<KeptLetter> = JSON.parse(`${line.slice(0, end)}}`);
    if (typeof id !== 'string' || typeof reason !== 'string' || typeof at !== 'string') return undefined;
    return { id, reason, at, document: line.slice(end + separator.length, -1) };
  } catch {
    return undefined;
  }
}

const separator = ',"document":';

/** Whether a text can stand in a line as it is. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return !/[\n\r]/.test(text);
  } catch {
    return false;
  }
}
