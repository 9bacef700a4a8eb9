/** A pattern for a field's whole value: literal pieces between `*`. `['web', '']` is `web*`. */
export type Pattern = readonly string[];

/** A query as a tree; what each sink translates. */
export type Query =
  /** A run of words in `message`, side by side; `prefix`: the last one is the start of a word. */
  | { readonly kind: 'words'; readonly words: readonly string[]; readonly prefix: boolean }
  /** The value of a field; several fields mean any of them (`image:` looks at two). */
  | { readonly kind: 'field'; readonly fields: readonly string[]; readonly pattern: Pattern }
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Query[] }
  | { readonly kind: 'not'; readonly operand: Query };
