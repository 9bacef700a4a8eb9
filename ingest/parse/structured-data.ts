/** STRUCTURED-DATA of RFC 5424 section 6.3: values by the ids of elements and the names of parameters. */
export type StructuredData = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What stands where structured data are expected. */
export interface StructuredDataRead {
  readonly elements?: StructuredData;
  /** The nil value. */
  readonly nil: boolean;
  /** Where the message starts. */
  readonly next: number;
  readonly error?: string;
}

/** Reads `-`, elements in brackets, or nothing at all, as older Dockers send it; and the space after it. */
export function readStructuredData(text: string, at: number): StructuredDataRead {
  if (text[at] === '-' && (text[at + 1] ?? ' ') === ' ') {
    return { nil: text[at + 1] === ' ', next: Math.min(at + 2, text.length) };
  }
  if (text[at] !== '[') return { nil: false, next: at };
  const elements: Record<string, Record<string, string>> = Object.create(null);
  let end = at;
  while (text[end] === '[') {
    const after = readElement(text, end, elements);
    if (after === undefined) return { nil: false, next: at, error: 'the structured data are not valid (RFC 5424)' };
    end = after;
  }
  return { elements, nil: false, next: text[end] === ' ' ? end + 1 : end };
}

/** Reads `[ID NAME="VALUE" …]` into `elements`; answers where it ends, or nothing if it is not one. */
function readElement(text: string, at: number, elements: Record<string, Record<string, string>>): number | undefined {
  const name = /[^ =\]"]{1,255}/y;
  const read = (from: number): string | undefined => {
    name.lastIndex = from;
    return name.exec(text)?.[0];
  };
  const id = read(at + 1);
  if (id === undefined) return undefined;
  const parameters: Record<string, string> = (elements[id] ??= Object.create(null));
  let next = at + 1 + id.length;
  while (text[next] === ' ') {
    const key = read(next + 1);
    if (key === undefined || !text.startsWith('="', next + 1 + key.length)) return undefined;
    const start = next + key.length + 3;
    const end = endOfValue(text, start);
    if (end === undefined) return undefined;
    parameters[key] = text.slice(start, end).replaceAll(/\\(["\\\]])/g, '$1');
    next = end + 1;
  }
  return text[next] === ']' ? next + 1 : undefined;
}

/** The quote that ends a value; a backslash keeps the next character from doing so. */
function endOfValue(text: string, start: number): number | undefined {
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 34) return at;
    if (code === 92) at += 1;
  }
  return undefined;
}
