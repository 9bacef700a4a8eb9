/** One problem as it stands in an answer's body: a code for programs, a message for people. */
export interface HttpErrorOptions {
  /** More about the problem, rendered as JSON; whatever helps to mend it. */
  readonly detail?: unknown;
  /** Header fields that the answer carries, such as `WWW-Authenticate` or `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The status line's text, where it is not to be the standard one; some clients read nothing else. */
  readonly reason?: string;
  /** What led to it; logged, never sent. */
  readonly cause?: unknown;
}

/**
 * A failure that the client is told of. Every error body of shiplog has the shape that OCI distribution gives it
 * (spec.md, "Error Codes"): `{"errors":[{"code","message","detail"}]}`.
 */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly code: string;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;
  readonly reason: string | undefined;

  constructor(status: number, code: string, message: string, options: HttpErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.status = status;
    this.code = code;
    this.detail = options.detail;
    this.headers = options.headers ?? {};
    this.reason = options.reason;
  }

  /** The answer's body. */
  toJSON(): object {
    const { code, message, detail } = this;
    return { errors: [detail === undefined ? { code, message } : { code, message, detail }] };
  }
}
