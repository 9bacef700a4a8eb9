import { Buffer } from 'node:buffer';
import type { Context } from './context.ts';
import type { OwnLine } from './line.ts';
import { findStamp, type Place, readAgain, startOfStamp } from './syslog.ts';
import type { Stamp } from './time.ts';

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
  /** The last time of whole seconds, and its text with what stands behind it, which says that it ends there. */
  #stamp: Stamp | undefined;
  #stampText = '';

  /** What is a line's own, and the header that it shares; undefined: its header is another. */
  find(place: Place): { readonly line: OwnLine; readonly context: Context } | undefined {
    const stamp = this.#stampOf(place);
    if (stamp === undefined) return undefined;
    for (const context of this.#byWord.get(wordAt(place.source, place.start + stamp.end)) ?? []) {
      const line = readAgain(place, context.line, stamp);
      if (line !== undefined) return { line, context };
    }
    return undefined;
  }

  #stampOf(place: Place): Stamp | undefined {
    const { source, start } = place;
    const at = startOfStamp(source, start);
    const last = this.#stamp;
    if (last?.start === at - start && source.startsWith(this.#stampText, at)) return last;
    const stamp = findStamp(place);
    if (stamp?.whole === true) {
      this.#stamp = stamp;
      // A slice would keep the block's text.
      this.#stampText = Buffer.from(source.slice(at, start + stamp.end + 1)).toString();
    }
    return stamp;
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
