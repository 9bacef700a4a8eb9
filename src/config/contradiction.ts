/** What is wrong with a key beside others, though each is right by itself. */
export interface Contradiction {
  readonly key: string;
  readonly message: string;
}
