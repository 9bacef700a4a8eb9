/** Digits in groups that a space or a hyphen may divide, of which there are enough for a card's number. */
const runs = /\d(?:[ -]?\d){13,}/g;

/** What the numbers of cards begin with, and how long they are (ISO/IEC 7812): Visa, Mastercard, American Express, … */
const numbers =
  /^(?:4\d{15}(?:\d{3})?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}|6(?:011|2\d\d|4[4-9]\d|5\d\d)\d{12,15})$/;

const [shortest, longest] = [14, 19];

/** A text whose card numbers are replaced: groups of digits that together are such a number, with its check digit. */
export function redactCards(text: string, by: string): string {
  return text.replace(runs, (run) => redactRun(run, by));
}

function redactRun(run: string, by: string): string {
  const groups = run.split(/[ -]/);
  // Where each group starts in the run.
  const starts: number[] = [];
  let at = 0;
  for (const group of groups) {
    starts.push(at);
    at += group.length + 1;
  }
  let [kept, from] = ['', 0];
  for (let first = 0; first < groups.length; first += 1) {
    const last = endOfCard(groups, first);
    if (last === undefined) continue;
    kept += run.slice(from, starts[first]) + by;
    from = (starts[last] ?? 0) + (groups[last]?.length ?? 0);
    first = last;
  }
  return kept + run.slice(from);
}

/** The last of the groups from the first on that are a card's number. */
function endOfCard(groups: readonly string[], first: number): number | undefined {
  let digits = '';
  for (let last = first; last < groups.length; last += 1) {
    digits += groups[last] ?? '';
    if (digits.length > longest) return undefined;
    if (digits.length >= shortest && numbers.test(digits) && hasCheckDigit(digits)) return last;
  }
  return undefined;
}

/** ISO/IEC 7812-1, annex B (Luhn). */
function hasCheckDigit(digits: string): boolean {
  let sum = 0;
  for (let at = 0; at < digits.length; at += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - at) - 48;
    const doubled = at % 2 === 0 ? digit : 2 * digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
