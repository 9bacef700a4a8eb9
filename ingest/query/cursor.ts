/** A place in the order of all documents, newest first: by time, then by sequence, then by id. */
export interface Position {
  /** `@timestamp` in ms since 1970. */
  readonly time: number;
  /** `event.sequence`. */
  readonly sequence: number;
  readonly id: string;
}

/** A cursor that was not made by `encodeCursor`. */
export class CursorError extends Error {
  override readonly name = 'CursorError';
  readonly code = 'CURSOR_INVALID';

  constructor() {
    super('this is not a cursor that a search returned');
  }
}

/** A position as opaque text for a URL. */
export function encodeCursor({ time, sequence, id }: Position): string {
  return Buffer.from(JSON.stringify([time, sequence, id])).toString('base64url');
}

/** @throws {CursorError} */
export function decodeCursor(cursor: string): Position {
  const parts = cursor.length <= 1024 && /^[\w-]+$/.test(cursor) ? parse(cursor) : undefined;
  if (!Array.isArray(parts) || parts.length !== 3) throw new CursorError();
  const [time, sequence, id]: unknown[] = parts;
  if (!isCount(time) || !isCount(sequence) || typeof id !== 'string' || id.length > 512) throw new CursorError();
  return { time, sequence, id };
}

/** Below 0 where `a` comes before `b` in a search. */
export function compare(a: Position, b: Position): number {
  return b.time - a.time || b.sequence - a.sequence || (a.id === b.id ? 0 : a.id > b.id ? -1 : 1);
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
