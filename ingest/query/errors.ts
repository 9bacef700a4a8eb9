/** What can be wrong with a query. */
export type QueryErrorCode =
  | 'TOO_LONG'
  | 'TOO_DEEP'
  | 'TOO_MANY_TERMS'
  | 'QUOTE_OPEN'
  | 'PARENTHESIS'
  | 'TERM_MISSING'
  | 'FIELD_UNKNOWN'
  | 'VALUE_MISSING'
  | 'VALUE_INVALID'
  | 'WORD_MISSING'
  | 'WILDCARD';

/** A query that cannot be understood; the message says what and, where it can, how to write it. */
export class QuerySyntaxError extends Error {
  override readonly name = 'QuerySyntaxError';
  readonly code: QueryErrorCode;
  /** Where in the text, in UTF-16 units from its start. */
  readonly position: number;

  constructor(code: QueryErrorCode, position: number, message: string) {
    super(message);
    this.code = code;
    this.position = position;
  }
}
