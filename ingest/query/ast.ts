/** A pattern for a field's whole value: literal pieces between `*`. `['web', '']` is `web*`, `['', '']` any value. */
export type Pattern = readonly string[];

/** A query as a tree; what each sink translates. */
export type Query =
  /** A run of words in a text field, side by side; `prefix`: the last one is the start of a word. Folded by `words()`. */
  | { readonly kind: 'words'; readonly field: string; readonly words: readonly string[]; readonly prefix: boolean }
  /** The value of a field; several fields mean any of them (`image:` looks at two). */
  | { readonly kind: 'field'; readonly fields: readonly string[]; readonly pattern: Pattern }
  /** All of them, or any of them. An `and` of nothing matches everything, an `or` of nothing matches nothing. */
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Query[] }
  | { readonly kind: 'not'; readonly operand: Query };
