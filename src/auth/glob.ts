/**
 * Makes a test of names from a pattern, in which `*` stands for any characters but `/`, and `**` for any at all. Every
 * place of the pattern that a name may have come to is followed at once, so that the time grows with the product of both
 * lengths and no pattern can make it explode.
 */
export function compileGlob(pattern: string): (name: string) => boolean {
  const parts = pattern.match(/\*\*|./gs) ?? [];
  /** Also where a `*` stands for nothing. */
  const reach = (places: boolean[], place: number): void => {
    places[place] = true;
    for (let at = place; parts[at]?.startsWith('*') === true; at += 1) places[at + 1] = true;
  };
  return (name) => {
    // `places[n]`: the first n parts match what was read of the name.
    let places: boolean[] = [];
    reach(places, 0);
    for (const character of name) {
      const next: boolean[] = [];
      for (const [at, part] of parts.entries()) {
        if (places[at] !== true) continue;
        if (part === '**' || (part === '*' && character !== '/')) reach(next, at);
        else if (part === character) reach(next, at + 1);
      }
      places = next;
    }
    return places[parts.length] === true;
  };
}
