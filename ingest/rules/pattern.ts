import { RE2JS, RE2JSException } from 're2js';

/** A text is no regular expression that can be matched in linear time. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
  readonly code = 'bad_pattern';
}

/** A regular expression of RE2's syntax, which takes time in proportion to the text, whatever the text is. */
export interface Pattern {
  /** Whether it matches anywhere in a text. */
  test(text: string): boolean;
  /** A text whose matches are replaced; empty ones are none. */
  replace(text: string, by: string): string;
}

/** Expressions of more than this many characters are none that anyone writes. */
const longest = 1000;

/** @throws {PatternError} it is wrong, too long, or has what RE2 does not know, such as backreferences and lookaround. */
export function compilePattern(source: string): Pattern {
  if (source.length > longest) throw new PatternError(`a regular expression has at most ${longest} characters`);
  const compiled = compile(source);
  return {
    test: (text) => compiled.test(text),
    replace(text, by) {
      const matcher = compiled.matcher(text);
      let [replaced, at] = ['', 0];
      while (matcher.find()) {
        if (matcher.start() === matcher.end()) continue;
        replaced += text.slice(at, matcher.start()) + by;
        at = matcher.end();
      }
      return at === 0 ? text : replaced + text.slice(at);
    },
  };
}

function compile(source: string): RE2JS {
  try {
    return RE2JS.compile(source);
  } catch (error) {
    if (error instanceof RE2JSException) throw new PatternError(error.message, { cause: error });
    throw error;
  }
}
