/**
 * Makes visible what a terminal could obey or a reader mistake: control characters (C0, DEL, C1), line separators, and
 * those that turn the direction of text (CWE-117; Unicode UAX 9).
 */
export function escapeControls(text: string): string {
  // Nearly every text is this, and has none of them.
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  });
}
