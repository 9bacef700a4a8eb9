import type { estypes } from '@elastic/elasticsearch';

/**
 * How text is cut into words. Both sinks search the same words because both follow this file:
 *
 * - A word is a run of code points that are not separators. Separators are white space, punctuation, symbols and
 *   controls (categories Z, P, S, Cc), and the format characters (Cf) of the basic plane. Letters, digits, combining
 *   marks, private-use and unassigned code points belong to words; `_` does not.
 * - Case is folded code point by code point, by the simple lower-case mapping. Accents stay.
 * - A run of more than 255 UTF-16 units is cut into words of 255.
 *
 * The embedded store hands FTS5's `ascii` tokenizer a text that `indexText` prepared; for Elasticsearch the same rule
 * is written as `analysis` (the `char_group` tokenizer and the `lowercase` filter). A test over all of Unicode holds
 * the two together, against a real server.
 */
const separator = /[\p{Z}\p{P}\p{S}\p{Cc}[\p{Cf}--[\u{10000}-\u{10ffff}]]]+/v;

/** The longest word, in UTF-16 units. */
const longest = 255;

/** The words of a text, folded, in order. */
export function words(text: string): string[] {
  return text.split(separator).filter(Boolean).flatMap(cut).map(fold);
}

/** A text in which FTS5's `ascii` tokenizer (letters and digits of ASCII, and all else beyond it) finds `words(text)`. */
export function indexText(text: string): string {
  return isPlain(text) ? text : words(text).join(' ');
}

/** The analyzer of Elasticsearch that finds the same words. */
export const analysis: estypes.IndicesIndexSettingsAnalysis = {
  analyzer: { shiplog_words: { type: 'custom', tokenizer: 'shiplog_words', filter: ['lowercase'] } },
  tokenizer: {
    shiplog_words: {
      type: 'char_group',
      max_token_length: longest,
      tokenize_on_chars: ['whitespace', 'punctuation', 'symbol', ...otherSeparators()],
    },
  },
};

/** Separators that none of the tokenizer's classes has (Java's white space lacks those that do not break a line). */
function otherSeparators(): string[] {
  const found: string[] = [];
  for (let unit = 0; unit <= 0xffff; unit += 1) {
    const character = String.fromCharCode(unit);
    if (/[\p{Zs}\p{Cc}\p{Cf}]/v.test(character)) found.push(`\\u${unit.toString(16).padStart(4, '0')}`);
  }
  return found;
}

/** Pieces of 255 units; one more where the last would split a surrogate pair. */
function cut(run: string): string[] {
  const pieces: string[] = [];
  let start = 0;
  while (run.length - start > longest) {
    const end = start + longest + (isPairAt(run, start + longest - 1) ? 1 : 0);
    pieces.push(run.slice(start, end));
    start = end;
  }
  if (start < run.length) pieces.push(run.slice(start));
  return pieces;
}

function isPairAt(text: string, index: number): boolean {
  return (text.codePointAt(index) ?? 0) > 0xffff;
}

function fold(word: string): string {
  return word.replace(/\p{Changes_When_Lowercased}/gv, lower);
}

/** `İ` is the only one whose full mapping has two code points; its simple one is `i`. */
function lower(character: string): string {
  return character === 'İ' ? 'i' : character.toLowerCase();
}

/** Only ASCII, and no word to cut. */
function isPlain(text: string): boolean {
  let run = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit > 0x7f) return false;
    const isWord = (unit >= 48 && unit <= 57) || (unit >= 65 && unit <= 90) || (unit >= 97 && unit <= 122);
    run = isWord ? run + 1 : 0;
    if (run > longest) return false;
  }
  return true;
}
