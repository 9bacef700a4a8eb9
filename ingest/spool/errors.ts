/** Why the spool did not take a block: `full` (of its bound, or the disk), `io` (the disk fails), `closed`. */
export type SpoolErrorCode = 'full' | 'io' | 'closed';

/** A block was not taken; it is not in the spool. */
export class SpoolError extends Error {
  override readonly name = 'SpoolError';
  readonly code: SpoolErrorCode;

  constructor(code: SpoolErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A file of the spool is there and cannot be read; the cause says why. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
  readonly path: string;

  constructor(path: string, options: { readonly cause: unknown }) {
    const { cause } = options;
    super(`${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, options);
    this.path = path;
  }
}
