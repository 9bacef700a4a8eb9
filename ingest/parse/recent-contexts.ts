import type { Context } from './context.ts';
import type { OwnLine } from './line.ts';
import { findStamp, readAgain } from './syslog.ts';

/** Headers with more characters behind the time are not kept. */
export const longestHeader = 2048;
/** As many are kept; then all are forgotten. */
const mostContexts = 32;

/**
 * Headers that lines of one source had lately. A line that has one of them is read without parsing it as a whole, however
 * the lines of containers are mixed.
 */
export class RecentContexts {
  /** By the word behind the time: a host's name, or a tag. */
  readonly #byWord = new Map<string, Context[]>();
  #count = 0;

  /** What is a line's own, and the header that it shares; undefined: its header is another. */
  find(text: string): { readonly line: OwnLine; readonly context: Context } | undefined {
    const stamp = findStamp(text);
    if (stamp === undefined) return undefined;
    for (const context of this.#byWord.get(wordAt(text, stamp.end)) ?? []) {
      const line = readAgain(text, context.line, stamp);
      if (line !== undefined) return { line, context };
    }
    return undefined;
  }

  /** Keeps what a header was found to say, in the place of what was known of it. */
  add(context: Context): void {
    const { around } = context.line;
    if (around === undefined || around.after.length > longestHeader) return;
    if (this.#count >= mostContexts) {
      this.#byWord.clear();
      this.#count = 0;
    }
    const word = wordAt(around.after, 0);
    const alike = this.#byWord.get(word) ?? [];
    const others = alike.filter(({ line }) => !isSame(line.around, around));
    this.#byWord.set(word, [context, ...others]);
    this.#count += 1 + others.length - alike.length;
  }
}

/** The word that a space, or what else stands there, comes before. */
function wordAt(text: string, at: number): string {
  const space = text.indexOf(' ', at + 1);
  return space < 0 ? text.slice(at) : text.slice(at, space);
}

function isSame(one: Context['line']['around'], other: NonNullable<Context['line']['around']>): boolean {
  return one?.before === other.before && one.after === other.after;
}
